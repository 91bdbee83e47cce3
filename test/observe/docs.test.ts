import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { SessionManager } from 'latchkey'
import { instrumentPrometheus } from 'latchkey/prometheus'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { channels } from '../../src/observe/channels.js'

const read = (file: string): string => readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8')
const PAGE = read('docs/reference/metrics.md')

/** What stands in code marks in the first cell of each row of the tables under a heading. */
function firstCells(heading: string): string[] {
  const [, section = ''] = PAGE.split(new RegExp(`^## ${heading}.*$`, 'm'))
  const rows = [...(section.split(/^## /m)[0] ?? '').matchAll(/^\| (`.*?) \|/gm)].map(([, cell]) => cell ?? '')
  return rows.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? ''))
}

describe('docs/reference/metrics.md', () => {
  it('has a row for every channel, and for no other', () => {
    expect(firstCells('Listening')).toEqual(Object.values(channels).map(({ name }) => name))
  })

  it('names the fields of every channel', () => {
    const declared = new Map(
      [...read('src/observe/channels.ts').matchAll(/interface (\w+) extends (\w+) \{([^]*?)\n\}/g)].map(([, name, base, body]) => [
        name ?? '',
        [
          ...(base === 'TimedEvent' ? ['outcome', 'durationMs'] : []),
          ...[...(body ?? '').matchAll(/readonly (\w+)\??:/g)].map(([, field]) => field),
        ],
      ]),
    )
    const kinds = [...read('src/observe/channels.ts').matchAll(/new EventChannel<(\w+)>\('([^']+)'\)/g)]
    expect(kinds).toHaveLength(9)
    for (const [, type = '', channel = ''] of kinds) {
      const row = PAGE.split('\n').find((line) => line.startsWith(`| \`${channel}\``)) ?? ''
      const fields = [...(row.split(' | ')[2] ?? '').matchAll(/`(\w+)`/g)].map(([, field]) => field)
      expect([channel, fields]).toEqual([channel, declared.get(type) ?? ['outcome', 'durationMs']])
    }
  })

  it('has a row for every field of stats(), and for no other', async () => {
    const manager = new SessionManager()
    expect(firstCells('Counting').sort()).toEqual(Object.keys(manager.stats()).sort())
    await manager.close()
  })

  it('names every metric, and no other', async () => {
    const manager = new SessionManager()
    const registry = new Registry()
    instrumentPrometheus(manager, { registry })()
    expect(firstCells('Prometheus').sort()).toEqual(registry.getMetricsAsArray().map(({ name }) => name).sort())
    await manager.close()

    const named = [...read('src/adapters/opentelemetry/metrics.ts').matchAll(/'((?:db|latchkey)\.[\w.]+)'/g)].map(([, name]) => name)
    const metrics = new Set(named.filter((name) => name !== 'latchkey.manager'))
    expect(firstCells('OpenTelemetry').sort()).toEqual([...metrics].sort())
  })

  it('names what is written under each namespace of debug', () => {
    const source = read('src/observe/debug-log.ts')
    const rows = new Map([...PAGE.matchAll(/^\| `(latchkey:\w+)` \| ([a-z, -]+) \|$/gm)].map(([, name, list]) => [name, list?.split(', ')]))
    const written = [...source.matchAll(/'(latchkey:\w+)': \[(.*)\]/g)].map(([, name, list]) => [
      name,
      [...(list ?? '').matchAll(/channels\.(\w+)/g)].map(([, kind]) => (kind === 'handOff' ? 'hand-off' : kind)),
    ])
    expect(written).toHaveLength(3)
    expect([...rows]).toEqual(written)
  })
})
