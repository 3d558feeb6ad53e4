// From windows to a song, as evaluation/aggregation.py does it.
export function combine(rows, attention, { aggregation, classes_exclude }) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const bounded = (value) => Math.exp(Math.min(20, Math.max(-20, value)));
  const ways = {
    mean_scores: mean,
    max_scores: (values) => Math.max(...values),
    median_scores: (values) => {
      const sorted = [...values].sort((a, b) => a - b);
      return mean([sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]);
    },
    vote_scores: (values, k) =>
      mean(values.map((value, w) => Number(classes_exclude ? rows[w].indexOf(Math.max(...rows[w])) === k : value >= 0.5))),
    noisy_or_scores: (values) => 1 - values.reduce((none, value) => none * (1 - value), 1),
    attention_scores: (values, k) => {
      const weight = attention.map((row) => bounded(row[row.length > 1 ? k : 0]));
      return mean(values.map((value, w) => value * weight[w])) / mean(weight);
    },
  };
  const found = Array.from(rows[0], (_, k) => ways[aggregation ?? "mean_scores"](rows.map((row) => row[k]), k));
  const total = found.reduce((sum, value) => sum + value, 0);
  const again = classes_exclude && ["max_scores", "median_scores"].includes(aggregation) && total > 0;
  return again ? found.map((value) => value / total) : found;
}
