// Makes what a drop of files carries, whose bytes come in base64.
(files) => {
  const transfer = new DataTransfer();
  for (const {name, content} of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, {type: 'image/png'}));
  }
  return transfer;
}
