import { AsyncLocalStorage } from 'node:async_hooks'
import { type Attributes, type Context, context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace, type Tracer } from '@opentelemetry/api'
import { channels, type FlightEvent } from '../../observe/channels.js'
import type { EventChannel, TimedEvent } from '../../observe/event-channel.js'
import type { SessionManager } from '../../session/session-manager.js'
import { attributesOf, spanNameOf } from './conventions.js'

/** The span that is open in what runs now, and the session that it is about. */
interface Scope {
  readonly session: string
  readonly context: Context
}

interface SpanStart {
  readonly name: string
  readonly kind: SpanKind
  readonly attributes: Attributes
}

/** Opens and ends the spans of one manager; returns what ends that. */
export function traceSpans(manager: SessionManager, tracer: Tracer): () => void {
  const scopes = new AsyncLocalStorage<Scope | undefined>()
  const spans = new WeakMap<TimedEvent, Span>()

  /** A renewal, or a poll for somebody else, may run in what another session's request set off: it is not its child. */
  const parentOf = (event: TimedEvent): Context => {
    const scope = scopes.getStore()
    if (scope === undefined) return context.active()
    return scope.session === event.session ? scope.context : ROOT_CONTEXT
  }

  const span = <E extends TimedEvent>(kind: EventChannel<E>, startOf: (event: E) => SpanStart | undefined): (() => void)[] => [
    kind.bind(scopes, (event) => {
      const start = event.manager === manager.name ? startOf(event) : undefined
      if (start === undefined) return scopes.getStore()
      const parent = parentOf(event)
      const { name, kind: spanKind, attributes } = start
      const opened = tracer.startSpan(name, { kind: spanKind, attributes: { ...attributes, ...about(event) } }, parent)
      spans.set(event, opened)
      return { session: event.session, context: trace.setSpan(parent, opened) }
    }),
    kind.onOver((event) => {
      const opened = spans.get(event)
      if (event.error !== undefined) opened?.setStatus({ code: SpanStatusCode.ERROR })
      if (event.error !== undefined) opened?.setAttribute('error.type', event.outcome ?? 'unknown')
      opened?.end()
    }, manager.name),
  ]

  const inner = (name: string) => (): SpanStart => ({ name, kind: SpanKind.INTERNAL, attributes: {} })
  const stops = [
    ...span(channels.acquire, inner('latchkey.acquire')),
    ...span(channels.commit, ({ change, keepsLock }) => ({
      name: 'latchkey.commit',
      kind: SpanKind.INTERNAL,
      attributes: { 'latchkey.change': change, 'latchkey.keeps_lock': keepsLock },
    })),
    ...span(channels.release, inner('latchkey.release')),
    ...span(channels.renew, inner('latchkey.renew')),
    ...span(channels.flight, startOfFlight),
  ]
  return () => {
    for (const stop of stops) stop()
    // Or Node carries the storage to every promise that the process makes, for as long as it runs.
    scopes.disable()
  }
}

function startOfFlight(event: FlightEvent): SpanStart | undefined {
  const { node } = event
  if (node === undefined) return undefined
  return { name: spanNameOf(event, node), kind: SpanKind.CLIENT, attributes: attributesOf(event, node) }
}

const about = ({ manager, session, label }: TimedEvent): Attributes => ({
  'latchkey.manager': manager,
  'latchkey.session': session,
  ...(label === undefined ? {} : { 'latchkey.label': label }),
})
