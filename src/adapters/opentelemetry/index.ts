/**
 * What a manager does, as spans and metrics of OpenTelemetry.
 *
 * @module latchkey/opentelemetry
 */
import { metrics, type MeterProvider, trace, type TracerProvider } from '@opentelemetry/api'
import type { SessionManager } from '../../session/session-manager.js'
import { checkNames } from '../../system/option-names.js'
import { measure } from './metrics.js'
import { traceSpans } from './spans.js'

/** Which providers spans and metrics go to. */
export interface OpenTelemetryOptions {
  /** Default: the global one. */
  readonly tracerProvider?: TracerProvider
  /** Default: the global one. */
  readonly meterProvider?: MeterProvider
}

const OPTIONS: ReadonlySet<string> = new Set<keyof OpenTelemetryOptions>(['tracerProvider', 'meterProvider'])

/**
 * Makes spans and metrics of what a manager does. Returns what ends that. Sends nothing.
 *
 * Spans: `latchkey.acquire`, `latchkey.commit`, `latchkey.release` and `latchkey.renew`, and one for each round trip by
 * OpenTelemetry's conventions for databases; children of what was active where the call was made. Metrics:
 * `db.client.operation.duration`, `latchkey.wait.duration`, `latchkey.hold.duration`, and the counters of
 * `manager.stats()`. All bear `latchkey.manager`.
 *
 * @throws LATCHKEY_INVALID_OPTION: an option is unknown.
 */
export function instrumentOpenTelemetry(manager: SessionManager, options: OpenTelemetryOptions = {}): () => void {
  checkNames(options, OPTIONS)
  const { tracerProvider = trace.getTracerProvider(), meterProvider = metrics.getMeterProvider() } = options
  const stops = [traceSpans(manager, tracerProvider.getTracer('latchkey')), measure(manager, meterProvider.getMeter('latchkey'))]
  return () => {
    for (const stop of stops) stop()
  }
}
