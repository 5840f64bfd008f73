// Tells the engines apart that live workers hold.

const PREVIEW = 'preview';

export const isPreview = (model) => model?.name === PREVIEW;
export const isUntrained = (model) => model?.trained === false && !isPreview(model);

/** Return what a plain request would be drawn with, in words. */
export function engineOf(models) {
  const painter = models.find((model) => !isPreview(model));
  return painter ?? models.find(isPreview) ?? {name: 'No model'};
}

/** Return which qualities the live workers can draw. */
export function qualitiesOf(models, limits) {
  const known = limits?.fields.quality?.choices ?? [];
  return {
    final: models.some((model) => !isPreview(model)) || models.length === 0,
    preview: known.includes(PREVIEW) && models.some(isPreview),
  };
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
