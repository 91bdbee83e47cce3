/** Subjects of the wire conformance suite whose records are on three memcached. */
import { setTimeout as delay } from 'node:timers/promises'
import { isAdvice, isOfProcesses } from '../../src/lock/protocol/key-layout.js'
import { type Clock, systemClock } from '../../src/system/clock.js'
import type { WireSubject, WireSubjectOptions } from '../../src/testing/wire-conformance/subject.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { openReplicated } from '../../src/wire/memcached/open-replicated.js'
import type { Command, Reply, Wire } from '../../src/wire/wire.js'
import { MemcachedServer } from './memcached-server.js'
import { PATIENCE_MS, serverAddresses } from './memcached-subject.js'
import { serversOf } from './servers.js'
import { underLocks } from './under-lock.js'

/** Of three nodes, how many are there. */
export type Present = 'all three' | 'two of three'

/** So much slower than time goes: on a busy machine no node is given up, so that each version names the same nodes. */
const SLOWER = 100
const slowClock: Clock = { wallMs: systemClock.wallMs, nowMs: () => systemClock.nowMs() / SLOWER, setTimer: (fn, ms, options) => systemClock.setTimer(fn, ms * SLOWER, options) }
const FLIGHT_MS = 2000

export interface ReplicatedSubject extends WireSubject {
  /** Itself, without the locks that a bare command is played under. */
  readonly replicated: Wire
  readonly nodes: readonly MemcachedServer[]
}

export async function replicatedSubject(present: Present, { small = false, wide = false }: WireSubjectOptions = {}): Promise<ReplicatedSubject> {
  const nodes = await Promise.all([0, 1, 2].map(() => MemcachedServer.start({ args: small ? ['-m', '8', '-M'] : [] })))
  const servers = serversOf(`${nodes.map(({ address }) => `tcp://${address}`).join(',')}?replicas=3`)
  const open = (): Wire => openReplicated(servers, 3, { clock: slowClock, flightMs: FLIGHT_MS, connections: wide ? 3 : 1, isOfProcesses, isAdvice })
  const [replicated, refusing] = [open(), open()]
  const fillers = small ? nodes.map(({ address }) => createMemcachedWire({ servers: serverAddresses(address, 'text'), clock: systemClock, flightMs: PATIENCE_MS, connections: 1 })) : []
  const fill = (commands: readonly Command[]): Promise<Reply[]> => filled(fillers, commands)
  const wire = underLocks(replicated, refusing, small ? fill : undefined)
  // All must have been there once: whoever founds a set marks all of its nodes.
  await wire.flight('first', [{ op: 'set', key: 'first', value: 'x', ttlSec: 1 }])
  const isWhole = present === 'all three'
  if (!isWhole) await nodes[2]?.kill()
  const restart = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.restart()))
    // Each write counts by two, with its lock: by one more the numbers of both lives meet.
    await Promise.all(nodes.map((node) => node.commandText('set -odd 0 1 1\r\nx')))
  }
  return {
    wire,
    replicated,
    nodes,
    advance: (ms) => delay(ms),
    close: async () => {
      await Promise.all([replicated, refusing, ...fillers].map((wire) => wire.close()))
      await Promise.all(nodes.map((node) => node.stop()))
    },
    // Where two are restarted empty while the third is away nobody is served any more.
    ...(isWhole ? { restart, repeatsVersions: true } : {}),
  }
}

/** Three nodes do not get full at the same write, so each is filled by itself, with items as large as copies of the suite's records. */
async function filled(fillers: readonly Wire[], commands: readonly Command[]): Promise<Reply[]> {
  const larger = commands.map((command) => ('value' in command ? { ...command, value: Buffer.concat([Buffer.from(command.value), Buffer.alloc(HEAD_BYTES)]) } : command))
  const answers = await Promise.all(fillers.map((wire) => wire.flight('filling', larger).catch(() => undefined)))
  return commands.map((_command, at) => answers.find((replies) => replies?.[at]?.status === 'ok')?.[at] ?? FULL)
}

const FULL: Reply = { status: 'outOfMemory', value: undefined, flags: 0, cas: undefined }
/** About what says of a copy which is newer: the suite's records and these are in one slab class. */
const HEAD_BYTES = 100
