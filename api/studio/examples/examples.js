// Shots that ship with the page.

export const EXAMPLES = [
  {
    name: 'Bounce',
    note: 'Three keys, on twos',
    files: ['bounce-1.webp', 'bounce-2.webp', 'bounce-3.webp'],
    options: {prompt: 'a ball bounces', frames_between: 5, exposure: 2, fps: 24},
  },
  {
    name: 'Goldfish',
    note: 'Transparent, in a loop',
    files: ['fish-1.webp', 'fish-2.webp'],
    options: {prompt: 'a goldfish turns', frames_between: 9, loop: true},
  },
  {
    name: 'Leap',
    note: 'Two keys',
    files: ['leap-1.webp', 'leap-2.webp'],
    options: {prompt: 'a kitten leaps for a butterfly'},
  },
];
