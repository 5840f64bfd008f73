// Puts a PNG, in base64, on the clipboard.
async (picture) => {
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  const image = new Blob([bytes], {type: 'image/png'});
  await navigator.clipboard.write([new ClipboardItem({'image/png': image})]);
}
