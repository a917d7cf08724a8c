// The four stations of a training, so that it is always seen where one stands.
export function Stages({ at }: { at: number }) {
  return <ol className="path" aria-label="The way">{["Check", "Plan", "Train", "Judge"].map((word, n) => <li key={word} className={n < at ? "was" : n === at ? "now" : ""} aria-current={n === at ? "step" : undefined}>{word}</li>)}</ol>;
}
