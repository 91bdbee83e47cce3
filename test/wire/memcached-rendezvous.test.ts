import { describe, expect, it } from 'vitest'
import { createRendezvous, murmur3, type WeightedNode } from '../../src/wire/memcached/rendezvous.js'

const ROUTES = Array.from({ length: 20_000 }, (_, i) => `session-${String(i)}`)

const even = (count: number): WeightedNode[] =>
  Array.from({ length: count }, (_, i) => ({ id: `10.0.0.${String(i + 1)}:11211`, weight: 1 }))

function owners(nodes: readonly WeightedNode[]): string[] {
  const owner = createRendezvous(nodes)
  return ROUTES.map((route) => nodes[owner(route)]?.id ?? 'nobody')
}

const shareOf = (all: readonly string[], id: string): number => all.filter((owner) => owner === id).length / all.length

describe('rendezvous hashing', () => {
  // Computed with the reference implementation, MurmurHash3_x86_32 of smhasher.
  it.each([
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['', 0xffffffff, 0x81f16f39],
    ['test', 0, 0xba6bd213],
    ['test', 0x9747b28c, 0x704b81dc],
    ['Hello, world!', 0, 0xc0363e43],
    ['Hello, world!', 0x9747b28c, 0x24884cba],
    ['The quick brown fox jumps over the lazy dog', 0, 0x2e4ff723],
    ['The quick brown fox jumps over the lazy dog', 0x9747b28c, 0x2fa826cd],
    ['ππππππππ', 0x9747b28c, 0xd58063c1],
  ])('murmur3(%j, %i)', (text, seed, expected) => {
    expect(murmur3(text, seed)).toBe(expected)
  })

  it('gives everything to a single node', () => {
    expect(createRendezvous(even(1))('any')).toBe(0)
  })

  it.each([2, 3, 5, 16])('spreads over %i nodes evenly', (count) => {
    const nodes = even(count)
    const all = owners(nodes)
    // Four standard deviations of a fair draw.
    const tolerance = 4 * Math.sqrt(count / ROUTES.length)
    for (const { id } of nodes) expect(Math.abs(shareOf(all, id) * count - 1)).toBeLessThan(tolerance)
  })

  it('gives each node its weight', () => {
    const nodes = even(3).map((node, i) => ({ ...node, weight: i + 1 }))
    const all = owners(nodes)
    nodes.forEach(({ id, weight }) => expect(shareOf(all, id)).toBeCloseTo(weight / 6, 1.7))
  })

  it('does not depend on the order of the list', () => {
    const nodes = even(5)
    expect(owners([...nodes].reverse())).toEqual(owners(nodes))
  })

  it('moves only what a node that goes had', () => {
    const nodes = even(5)
    const before = owners(nodes)
    const after = owners(nodes.slice(0, 4))
    const gone = nodes[4]?.id
    before.forEach((owner, i) => {
      if (owner !== gone) expect(after[i]).toBe(owner)
    })
  })

  it('moves to a node that gains weight, and nowhere else', () => {
    const nodes = even(4)
    const heavier = nodes.map((node, i) => (i === 2 ? { ...node, weight: 2 } : node))
    const before = owners(nodes)
    const after = owners(heavier)
    before.forEach((owner, i) => {
      if (after[i] !== owner) expect(after[i]).toBe(nodes[2]?.id)
    })
  })

  it('never changes: sessions must be found after an update of this library', () => {
    const owner = createRendezvous(even(4))
    expect(ROUTES.slice(0, 12).map(owner)).toMatchInlineSnapshot(`
      [
        2,
        1,
        0,
        0,
        3,
        2,
        1,
        2,
        1,
        3,
        0,
        3,
      ]
    `)
  })
})
