import { describe, expect, it } from 'vitest'
import type { LinkEnd } from '../../src/neighbours/neighbours.js'
import { PostNeighbours } from '../../src/neighbours/post-neighbours.js'
import type { Post } from '../../src/neighbours/post.js'
import { SealedBox } from '../../src/neighbours/seal.js'
import { systemRandom } from '../../src/system/random.js'
import { VirtualClock } from '../../src/testing/virtual-clock.js'

/** Delivers at once, and keeps what it was given. */
class OpenPost implements Post {
  readonly sent: { readonly box: string; readonly text: string }[] = []
  readonly boxes = new Map<string, (text: string) => void>()
  isLost = false

  listen(box: string, heard: (text: string) => void) {
    this.boxes.set(box, heard)
    return { close: () => void this.boxes.delete(box) }
  }

  send(box: string, text: string): void {
    this.sent.push({ box, text })
    if (!this.isLost) this.boxes.get(box)?.(text)
  }
}

function makePost() {
  const post = new OpenPost()
  const clock = new VirtualClock()
  /** A process with a door that answers each line by itself. */
  const open = () => {
    const neighbours = new PostNeighbours(post, systemRandom, clock)
    const ends: LinkEnd[] = []
    let address = ''
    const door = neighbours.open({
      onOpen: (opened) => (address = opened),
      onCaller: (link) => ({ onLine: (line) => link.send(`echo ${line}`), onEnd: (how) => ends.push(how) }),
    })
    return { neighbours, address, door, ends }
  }
  const call = (from: PostNeighbours, address: string) => {
    const lines: string[] = []
    const ends: LinkEnd[] = []
    const link = from.call(address, { onLine: (line) => lines.push(line), onEnd: (how) => ends.push(how) })
    return { link, lines, ends }
  }
  return { post, clock, open, call }
}

describe('processes that reach each other by post', () => {
  it('a line comes to the door, and its answer to the caller', () => {
    const { open, call } = makePost()
    const [one, other] = [open(), open()]
    const { link, lines } = call(one.neighbours, other.address)
    link.send('wait a b sid')
    expect(lines).toEqual(['echo wait a b sid'])
    one.door.close()
    link.send('wait a b sid')
    expect(lines).toHaveLength(1)
  })

  it('what is sent shows neither a line nor an address, and never looks the same', () => {
    const { open, call, post } = makePost()
    const [one, other] = [open(), open()]
    const { link } = call(one.neighbours, other.address)
    link.send('wait a b secret')
    link.send('wait a b secret')
    expect(new Set(post.sent.map(({ text }) => text)).size).toBe(4)
    const all = post.sent.map(({ box, text }) => `${box} ${Buffer.from(text, 'base64url').toString('latin1')}`).join()
    for (const hidden of ['secret', one.address, other.address]) expect(all).not.toContain(hidden)
  })

  it('what others write into a box is not read: garbage, a text that was changed, one for another box', () => {
    const { open, call, post } = makePost()
    const [one, other] = [open(), open()]
    const { link, lines } = call(one.neighbours, other.address)
    post.isLost = true
    link.send('hello')
    post.isLost = false
    const box = post.boxes.get(new SealedBox(other.address).name)
    const text = post.sent[0]?.text ?? ''
    const sealed = (line: string): string => new SealedBox(other.address).seal(line, systemRandom)
    const changed = `${text.slice(0, 30)}${text[30] === 'A' ? 'B' : 'A'}${text.slice(31)}`
    for (const bad of ['', 'x', 'A'.repeat(3000), '*'.repeat(60), changed, new SealedBox(one.address).seal(`${one.address} >hello`, systemRandom), sealed('no sign'), sealed(' >x')]) {
      box?.(bad)
    }
    expect(lines).toEqual([])
    box?.(text)
    expect(lines).toEqual(['echo hello'])
  })

  it('a side that is silent is forgotten after a while, and is not said to have died', async () => {
    const { open, call, clock } = makePost()
    const [one, other] = [open(), open()]
    const { link, ends } = call(one.neighbours, other.address)
    link.send('hello')
    await clock.advance(9000)
    link.send('hello')
    await clock.advance(9000)
    expect([ends, other.ends]).toEqual([[], []])
    await clock.advance(12_000)
    expect([ends, other.ends]).toEqual([['ended'], ['ended']])
  })

  it('has room for so many callers', () => {
    const { open, call } = makePost()
    const house = open()
    const all = Array.from({ length: 600 }, () => call(open().neighbours, house.address))
    for (const { link } of all) link.send('hello')
    expect(all.filter(({ lines }) => lines.length > 0)).toHaveLength(512)
  })
})
