/** The engine's samples in the text format of Prometheus. A registry per scrape: nothing global, nothing kept. */
import { Counter, Gauge, Registry } from 'prom-client'
import type { MetricSample } from '../view.ts'

/** Exposition format 0.0.4, which every scraper reads. */
export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

/** Samples of one name must agree on type and label names. */
export async function renderMetrics(samples: readonly MetricSample[]): Promise<string> {
  const registry = new Registry()
  const known = new Map<string, Counter | Gauge>()
  for (const sample of samples) {
    let metric = known.get(sample.name)
    if (metric === undefined) {
      const options = {
        name: sample.name,
        help: sample.help,
        labelNames: Object.keys(sample.labels),
        registers: [registry],
      }
      metric = sample.type === 'counter' ? new Counter(options) : new Gauge(options)
      known.set(sample.name, metric)
    }
    metric.inc(sample.labels, sample.value)
  }
  return await registry.metrics()
}
