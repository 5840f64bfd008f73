// Shots that ship with the page.

export const EXAMPLES = [
  {
    name: 'Bounce',
    note: 'Three keys, on twos',
    files: ['bounce-1.png', 'bounce-2.png', 'bounce-3.png'],
    options: {prompt: 'a ball bounces', frames_between: 5, exposure: 2, fps: 24},
  },
  {
    name: 'Goldfish',
    note: 'Transparent, in a loop',
    files: ['fish-1.png', 'fish-2.png'],
    options: {prompt: 'a goldfish turns', frames_between: 9, loop: true},
  },
  {
    name: 'Leap',
    note: 'Two keys',
    files: ['leap-1.png', 'leap-2.png'],
    options: {prompt: 'a kitten leaps for a butterfly'},
  },
];
