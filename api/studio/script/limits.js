// Reads ranges, choices and defaults from the service's own contract, so that they stand nowhere
// in the page. A field that this version of the service does not have is undefined.

const BODY = 'InterpolationBody';

function follow(document, schema) {
  let found = schema;
  while (found?.$ref) {
    found = found.$ref.slice(2).split('/').reduce((node, name) => node[name], document);
  }
  return found ?? {};
}

function branches(document, schema) {
  const found = follow(document, schema);
  const inner = found.anyOf ?? found.oneOf ?? found.allOf;
  return inner ? inner.flatMap((one) => branches(document, one)) : [found];
}

/** Flatten one property to `{type, min, max, choices, maxLength, initial, items}`. */
function describe(document, schema) {
  const all = branches(document, schema).filter((one) => one.type !== 'null');
  const numeric = all.find((one) => one.type === 'integer' || one.type === 'number');
  const choices = all.flatMap((one) => one.enum ?? ('const' in one ? [one.const] : []));
  const list = all.find((one) => one.type === 'array');
  const initial = schema.default ?? follow(document, schema).default;
  const strings = choices.filter((choice) => typeof choice === 'string');
  return {
    type: numeric && !('const' in numeric) ? numeric.type : all[0]?.type,
    min: numeric?.minimum,
    max: numeric?.maximum,
    choices: strings.length ? strings : choices,
    maxLength: all.find((one) => one.maxLength)?.maxLength,
    pattern: all.find((one) => one.pattern)?.pattern,
    initial,
    description: schema.description ?? '',
    list: list && {min: list.minItems, max: list.maxItems, schema: list.items},
  };
}

function fieldsOf(document, schema) {
  const {properties = {}} = follow(document, schema);
  const entries = Object.entries(properties);
  return Object.fromEntries(entries.map(([name, one]) => [name, describe(document, one)]));
}

function formatsOf(document, outputs) {
  const kinds = outputs?.list ? branches(document, outputs.list.schema) : [];
  return kinds.flatMap((kind) => {
    const format = follow(document, kind).properties?.format;
    return format ? describe(document, format).choices : [];
  });
}

/** Return what the page needs of the contract. */
export function readLimits(document) {
  const body = document.components.schemas[BODY];
  const fields = fieldsOf(document, body);
  const keyframes = fields.keyframes.list;
  return {
    fields,
    keyframe: fieldsOf(document, keyframes.schema),
    minKeys: keyframes.min ?? 2,
    maxKeys: keyframes.max ?? 2,
    maxSketches: fields.sketches?.list?.max ?? 0,
    formats: formatsOf(document, fields.outputs),
    // a service without the field draws as many between two keys as its model always does
    between: fields.frames_between ?? {initial: 14, min: 14, max: 14},
    hasDrawings: Object.keys(document.paths).some((path) => path.endsWith('/drawings/{n}')),
  };
}
