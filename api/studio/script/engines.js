// Tells the engines apart that live workers hold.

const PREVIEW = 'preview';

export const isPreview = (model) => (model?.engine ?? model?.name) === PREVIEW;
export const isUntrained = (model) => model?.trained === false && !isPreview(model);

/** Return the model that draws where a request names none. */
export function engineOf(models) {
  return models.find((model) => !isPreview(model)) ?? models.find(isPreview) ?? null;
}

/** Return whether all that lives is the preview engine, for which many fields have no effect. */
export const isPreviewOnly = (models) => models.length > 0 && models.every(isPreview);

/** Return the qualities that can be asked for now; a service without a choice has none. */
export function qualitiesOf(models, limits) {
  const known = limits?.fields.quality?.choices ?? [];
  const held = models.flatMap(({qualities = []}) => qualities);
  return known.filter((quality) => held.includes(quality));
}

/** Return what has to be said of results of a model, or null. */
export function cautionOf(model) {
  if (isPreview(model)) {
    return 'Drawn by the preview engine, not ToonCrafter: it moves and blends your keys.';
  }
  if (isUntrained(model)) {
    return 'This model is untrained: its drawings are noise.';
  }
  return null;
}
