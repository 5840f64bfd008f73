// Plays the video of the page and answers what its first shown picture is like.
async () => {
  const video = document.querySelector('video');
  video.muted = true;
  const playing = new Promise((resolve, reject) => {
    video.addEventListener('playing', resolve);
    video.addEventListener('error', () => reject(video.error.message));
  });
  await video.play();
  await playing;
  await new Promise((resolve) => video.requestVideoFrameCallback(resolve));  // one is shown
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  for (let i = 0; i < pixels.length; i += 4) {
    colours.add(pixels[i] << 16 | pixels[i + 1] << 8 | pixels[i + 2]);
  }
  return {
    width: video.videoWidth,
    height: video.videoHeight,
    seconds: video.duration,
    colours: colours.size,
  };
}
