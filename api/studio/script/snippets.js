// Writes the request of a shot as a call that can be pasted.

import {address} from './service.js';
import {requestOf} from './shot.js';

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

/** Names that a shell and Python can both open; equal names are numbered. */
function named(files) {
  const seen = new Map();
  return files.map((one) => {
    const number = (seen.get(one.name) ?? 0) + 1;
    seen.set(one.name, number);
    const [, stem, suffix = ''] = one.name.match(/^(.*?)(\.[^.]*)?$/);
    return {...one, name: number > 1 ? `${stem}-${number}${suffix}` : one.name};
  });
}

export function asCurl(shot, limits, needsKey) {
  const {request, files} = requestOf(shot, limits);
  const lines = [`curl ${quoted(address('v1/interpolations'))}`];
  if (needsKey) lines.push('-H "Authorization: Bearer $TOONCRAFTER_API_KEY"');
  for (const {part, name} of named(files)) lines.push(`-F ${quoted(`${part}=@${name}`)}`);
  lines.push(`-F ${quoted(`request=${JSON.stringify(request)};type=application/json`)}`);
  return lines.join(' \\\n  ');
}

const literal = (value, indent = '') => {
  const deeper = `${indent}    `;
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) {
    if (value.every((one) => typeof one !== 'object')) return `[${value.map(literal).join(', ')}]`;
    const rows = value.map((one) => `${deeper}${literal(one, deeper)},\n`);
    return `[\n${rows.join('')}${indent}]`;
  }
  if (typeof value === 'object') {
    const parts = Object.entries(value).map(([name, one]) => `"${name}": ${literal(one, deeper)}`);
    const line = `{${parts.join(', ')}}`;
    if (line.length < 80 && !line.includes('\n')) return line;
    return `{\n${parts.map((one) => `${deeper}${one},\n`).join('')}${indent}}`;
  }
  return JSON.stringify(value);
};

export function asPython(shot, limits, needsKey) {
  const {request, files} = requestOf(shot, limits);
  const opened = named(files).map(({part, name}) =>
    `    "${part}": open(${JSON.stringify(name)}, "rb"),\n`);
  const access = needsKey
    ? 'headers = {"Authorization": f"Bearer {os.environ[\'TOONCRAFTER_API_KEY\']}"}\n'
    : 'headers = {}\n';
  return `import json
${needsKey ? 'import os\n' : ''}import httpx

request = ${literal(request)}
files = {
${opened.join('')}    "request": (None, json.dumps(request), "application/json"),
}
${access}url = ${JSON.stringify(address('').href)}
with httpx.Client(base_url=url, headers=headers) as service:
    job = service.post("v1/interpolations", files=files).raise_for_status().json()
    while job["status"] in ("queued", "running"):
        wait = {"Prefer": "wait=30, until=end", "If-None-Match": f'"{job["version"]}"'}
        answer = service.get(f"v1/interpolations/{job['id']}", headers=wait, timeout=60)
        job = answer.json() if answer.status_code == 200 else job
print(job["status"], [output["url"] for output in job["outputs"]])
`;
}
