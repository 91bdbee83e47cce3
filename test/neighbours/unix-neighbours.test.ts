import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sweepDoors } from '../../src/neighbours/door-directory.js'
import type { Link, LinkEnd, LinkOwner } from '../../src/neighbours/neighbours.js'
import { UnixNeighbours } from '../../src/neighbours/unix-neighbours.js'
import { systemRandom } from '../../src/system/random.js'

let parent: string
let directory: string
const closers: (() => void)[] = []

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'lk-'))
  directory = join(parent, 'doors')
})
afterEach(() => {
  for (const close of closers.splice(0)) close()
  rmSync(parent, { recursive: true, force: true })
})

const neighbours = (): UnixNeighbours => new UnixNeighbours(directory, systemRandom)

/** A door that answers every line by itself, and its address; undefined when none could be opened. */
function openEcho(): string | undefined {
  let address: string | undefined
  const door = neighbours().open({
    onOpen: (opened) => {
      address = opened
    },
    onCaller: (link) => ({ onLine: (line) => void link.send(`echo ${line}`), onEnd: () => undefined }),
  })
  closers.push(() => {
    door.close()
  })
  return address
}

/** What comes from there: the first line, or how it ended. */
function ask(address: string, line = 'hello'): Promise<{ line: string } | { end: LinkEnd }> {
  return new Promise((resolve) => {
    const owner: LinkOwner = {
      onLine: (answer) => {
        link.close()
        resolve({ line: answer })
      },
      onEnd: (end) => {
        resolve({ end })
      },
    }
    const link: Link = neighbours().call(address, owner)
    link.send(line)
  })
}

/** The name of a door whose process was killed. */
async function doorOfTheDead(): Promise<string> {
  mkdirSync(directory, { mode: 0o700 })
  const name = 'ab'.repeat(10)
  const script = `require('node:net').createServer().listen(${JSON.stringify(join(directory, name))}, () => console.log('open'))`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  return name
}

describe.skipIf(process.platform === 'win32')('neighbours over unix sockets', () => {
  it('a line goes there, and one comes back', async () => {
    expect(await ask(openEcho() ?? '')).toEqual({ line: 'echo hello' })
  })

  it('the door is open when `open` returns: the first token of a process names it', () => {
    expect(openEcho()).toMatch(/^[0-9a-f]{20}$/)
  })

  it('a door whose process was killed is refused', { skip: process.platform !== 'linux' }, async () => {
    expect(await ask(await doorOfTheDead())).toEqual({ end: 'refused' })
  })

  it('a door that was closed is not found, and says nothing of its process', async () => {
    const address = openEcho() ?? ''
    closers.splice(0).forEach((close) => {
      close()
    })
    expect(await ask(address)).toEqual({ end: 'unreachable' })
    expect(readdirSync(directory)).toEqual([])
  })

  it.each(['', '../escape', 'no such name', '/etc/passwd', 'a'.repeat(200)])('%j is the name of no door', async (address) => {
    openEcho()
    expect(await ask(address)).toEqual({ end: 'unreachable' })
  })

  it('who talks without an end is sent away', async () => {
    const address = openEcho() ?? ''
    const end = await new Promise<LinkEnd>((resolve) => {
      const link = neighbours().call(address, { onLine: () => undefined, onEnd: resolve })
      // Sent in pieces without a line break between them: `send` would end each of them.
      for (let piece = 0; piece < 2; piece++) link.send('x'.repeat(100_000))
    })
    expect(end).toBe('ended')
  })

  it.each([0o777, 0o750, 0o701])('a directory of mode %i is not used: others could put doors there', async (mode) => {
    mkdirSync(directory)
    chmodSync(directory, mode)
    expect(openEcho()).toBeUndefined()
    expect(await ask('ab'.repeat(10))).toEqual({ end: 'unreachable' })
  })

  it('a link to a directory is not used', () => {
    mkdirSync(join(parent, 'elsewhere'), { mode: 0o700 })
    symlinkSync(join(parent, 'elsewhere'), directory)
    expect(openEcho()).toBeUndefined()
  })

  it('where no directory can be made, or its path is too long for a socket, there is no door', () => {
    directory = join(parent, 'missing', 'doors')
    expect(openEcho()).toBeUndefined()
    directory = join(parent, 'x'.repeat(120))
    expect(openEcho()).toBeUndefined()
  })

  it('doors of the dead are taken away when they were seen dead for long, and not before, however old they are', { skip: process.platform !== 'linux' }, async () => {
    const dead = await doorOfTheDead()
    const nowMs = Date.now()
    utimesSync(join(directory, dead), new Date(0), new Date(0))
    for (const later of [0, 0, 7_100_000]) {
      await sweepDoors(directory, nowMs + later)
      expect(await ask(dead)).toEqual({ end: 'refused' })
    }
    await sweepDoors(directory, nowMs + 7_300_000)
    expect(await ask(dead)).toEqual({ end: 'unreachable' })
  })

  it('doors of the living stay', async () => {
    const address = openEcho() ?? ''
    for (const later of [0, 1e8, 2e8]) await sweepDoors(directory, Date.now() + later)
    expect(await ask(address)).toEqual({ line: 'echo hello' })
  })
})
