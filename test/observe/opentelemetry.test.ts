import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { type Context, context, type ContextManager, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor, type SpanProcessor } from '@opentelemetry/sdk-trace-base'
import { type Clock, SessionManager, type SessionManagerOptions } from 'latchkey'
import { instrumentOpenTelemetry } from 'latchkey/opentelemetry'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspect } from 'node:util'
import { hashOf } from '../../src/system/session-hash.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { carriedStorages } from '../support/storages.js'
import { codeOf, World } from '../support/world.js'

const ID = 'a-session-id'

/** As @opentelemetry/context-async-hooks has it, which SDKs for Node register. */
class AsyncContexts implements ContextManager {
  private readonly storage = new AsyncLocalStorage<Context>()
  active(): Context {
    return this.storage.getStore() ?? ROOT_CONTEXT
  }
  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.storage.run(active, () => fn.apply(thisArg, args))
  }
  bind<T>(_: Context, target: T): T {
    return target
  }
  enable(): this {
    return this
  }
  disable(): this {
    return this
  }
}

function instrumented(manager: SessionManager) {
  const spans = new InMemorySpanExporter()
  let begun = 0
  const counter: SpanProcessor = {
    onStart: () => void begun++,
    onEnd: () => undefined,
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  }
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans), counter] })
  const metrics = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter: metrics, exportIntervalMillis: 3_600_000 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  const stop = instrumentOpenTelemetry(manager, { tracerProvider, meterProvider })
  /** The data points of each metric, by its name. */
  const collect = async () => {
    metrics.reset()
    await reader.forceFlush()
    const all = metrics.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
    expect(inspect(all, { depth: 12 })).not.toContain(ID)
    return new Map(all.map((metric) => [metric.descriptor.name, metric]))
  }
  const finished = (): ReadableSpan[] => spans.getFinishedSpans()
  return { begun: () => begun, tracer: tracerProvider.getTracer('test'), finished, collect, stop }
}

const named = (spans: readonly ReadableSpan[], name: string): ReadableSpan => {
  const found = spans.find((span) => span.name === name)
  if (found === undefined) throw new Error(`no span ${name} in ${spans.map((span) => span.name).join(', ')}`)
  return found
}
const parentOf = (span: ReadableSpan): string | undefined => span.parentSpanContext?.spanId

describe('latchkey/opentelemetry', () => {
  let server: MemcachedServer
  let options: SessionManagerOptions
  beforeAll(async () => {
    server = await MemcachedServer.start()
    options = { savePath: `tcp://127.0.0.1:${String(server.port)}` }
    context.setGlobalContextManager(new AsyncContexts())
  })
  afterAll(async () => {
    context.disable()
    await server.stop()
  })

  it('makes spans of a request, each the child of what it belongs to', async () => {
    const manager = new SessionManager(options)
    const { tracer, finished, stop } = instrumented(manager)
    const request = tracer.startSpan('GET /cart')
    await context.with(trace.setSpan(context.active(), request), async () => {
      const session = await manager.start(ID, { label: 'GET /cart' })
      session.data['n'] = 1
      await session.release()
    })
    const spans = finished()
    const batch = `BATCH 127.0.0.1:${String(server.port)}`
    expect(spans.map(({ name }) => name)).toEqual([batch, 'latchkey.acquire', batch, 'latchkey.commit', 'latchkey.release'])
    const [asking, acquire, storing, commit, release] = spans
    if (!asking || !acquire || !storing || !commit || !release) throw new Error('a span is missing')
    expect(parentOf(acquire)).toBe(request.spanContext().spanId)
    expect(parentOf(asking)).toBe(acquire.spanContext().spanId)
    expect(parentOf(release)).toBe(request.spanContext().spanId)
    expect(parentOf(commit)).toBe(release.spanContext().spanId)
    expect(parentOf(storing)).toBe(commit.spanContext().spanId)
    const about = { 'latchkey.manager': manager.name, 'latchkey.session': hashOf(ID) }
    expect(acquire).toMatchObject({ kind: SpanKind.INTERNAL, attributes: { ...about, 'latchkey.label': 'GET /cart' } })
    expect(commit.attributes).toMatchObject({ 'latchkey.change': 'write', 'latchkey.keeps_lock': false })
    expect(asking.kind).toBe(SpanKind.CLIENT)
    expect(asking.attributes).toEqual({
      ...about,
      'db.system.name': 'memcached',
      'db.operation.name': 'BATCH',
      'db.operation.batch.size': 2,
      'server.address': '127.0.0.1',
      'server.port': server.port,
    })
    expect(inspect(spans.map(({ name, attributes, events }) => [name, attributes, events]), { depth: 9 })).not.toContain(ID)
    stop()
    await manager.run(ID, () => undefined)
    expect(finished()).toHaveLength(5)
    await manager.close()
  })

  it('costs the promises of the process nothing when it has stopped', async () => {
    const { manager } = new World().process()
    await manager.run(ID, () => undefined)
    const before = carriedStorages()
    for (let times = 0; times < 3; times++) {
      const { finished, stop } = instrumented(manager)
      await manager.run(ID, () => undefined)
      expect(finished()).not.toHaveLength(0)
      stop()
    }
    expect(carriedStorages()).toBe(before)
  })

  it('names a single command as the conventions do', async () => {
    const manager = new SessionManager(options)
    const { finished, stop } = instrumented(manager)
    await manager.peek(ID)
    const span = named(finished(), `get 127.0.0.1:${String(server.port)}`)
    expect(span.attributes['db.operation.name']).toBe('get')
    expect(span.attributes).not.toHaveProperty('db.operation.batch.size')
    stop()
    await manager.close()
  })

  it('marks what failed, with the code as error.type', async () => {
    const manager = new SessionManager({ savePath: 'tcp://127.0.0.1:1', deadlineMs: 200 })
    const { finished, collect, stop } = instrumented(manager)
    expect(await codeOf(manager.start(ID))).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    const acquire = named(finished(), 'latchkey.acquire')
    const flight = named(finished(), 'BATCH 127.0.0.1:1')
    expect(acquire.status.code).toBe(SpanStatusCode.ERROR)
    expect(acquire.attributes['error.type']).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    expect(flight.status.code).toBe(SpanStatusCode.ERROR)
    expect(flight.attributes['error.type']).toBe('not-sent')
    const points = (await collect()).get('db.client.operation.duration')?.dataPoints ?? []
    expect(points.map(({ attributes }) => attributes['error.type'])).toEqual(['not-sent'])
    stop()
    await manager.close()
  })

  it('records durations in seconds, and what stats() counts', async () => {
    const manager = new SessionManager(options)
    const { collect, stop } = instrumented(manager)
    const session = await manager.start(ID)
    expect((await collect()).get('latchkey.held')?.dataPoints[0]?.value).toBe(1)
    await session.release()
    const metrics = await collect()
    const duration = metrics.get('db.client.operation.duration')
    expect(duration?.descriptor.unit).toBe('s')
    expect(duration?.dataPoints).toMatchObject([
      {
        attributes: { 'db.system.name': 'memcached', 'db.operation.name': 'BATCH', 'latchkey.manager': manager.name },
        value: { count: 2, buckets: { boundaries: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10] } },
      },
    ])
    expect(metrics.get('latchkey.wait.duration')?.dataPoints).toMatchObject([{ value: { count: 1 } }])
    expect(metrics.get('latchkey.hold.duration')?.dataPoints).toMatchObject([{ value: { count: 1 } }])
    expect(metrics.get('latchkey.acquired')?.dataPoints).toMatchObject([{ value: 1 }])
    expect(metrics.get('latchkey.flights')?.dataPoints).toMatchObject([{ value: 2 }])
    expect(metrics.get('latchkey.held')?.dataPoints).toMatchObject([{ value: 0 }])
    stop()
    await manager.close()
  })

  it('takes its own manager only, and a renewal for nobody else’s child', async () => {
    const world = new World()
    // Node's timers run in the context in which they were set.
    const clock: Clock = {
      nowMs: () => world.clock.nowMs(),
      wallMs: () => world.clock.wallMs(),
      setTimer: (fn, delayMs) => world.clock.setTimer(AsyncResource.bind(fn), delayMs),
    }
    const [one, other] = [world.process({ clock }).manager, world.process({ clock }).manager]
    const { begun, tracer, finished, stop } = instrumented(one)
    const [first, second] = [tracer.startSpan('first'), tracer.startSpan('second')]
    const held = await context.with(trace.setSpan(ROOT_CONTEXT, first), () => world.until(one.start('first-id')))
    const later = await context.with(trace.setSpan(ROOT_CONTEXT, second), () => world.until(one.start('second-id')))
    await world.until(other.run('third-id', () => undefined))
    await world.until(world.pause(6000))
    await world.until(held.release())
    await world.until(later.release())
    stop()
    // But for the two that this test began and did not end.
    expect(begun()).toBe(finished().length + 2)
    const renewals = finished().filter(({ name }) => name === 'latchkey.renew')
    expect(finished().filter(({ name }) => name === 'latchkey.acquire')).toHaveLength(2)
    const acquireOf = (id: string): ReadableSpan =>
      named(finished().filter(({ attributes }) => attributes['latchkey.session'] === hashOf(id)), 'latchkey.acquire')
    // Both ring in the one timer that the first one set.
    expect(renewals.map((span) => [span.attributes['latchkey.session'], parentOf(span)])).toEqual([
      [hashOf('first-id'), acquireOf('first-id').spanContext().spanId],
      [hashOf('second-id'), undefined],
    ])
  })
})
