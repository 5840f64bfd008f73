// Makes what a drop of files carries.
(files) => {
  const transfer = new DataTransfer();
  for (const {name, bytes} of files) {
    transfer.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/png'}));
  }
  return transfer;
}
