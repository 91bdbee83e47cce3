import { connect } from 'node:net'
import { ownPort } from '../deployment/ports.js'
import { Programs, until } from '../deployment/programs.js'

export interface OwnMemcached {
  /** host:port */
  readonly address: string
  /** As if its machine stood still, until 'SIGCONT'. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
  /** Kills it. Resolves when it is gone. */
  stop(): Promise<void>
}

export class MemcachedMissingError extends Error {}

const HOST = '127.0.0.1'

/**
 * Starts memcached on loopback.
 *
 * @param wanted port; default: a free one, which is ours until this process ends
 * @throws MemcachedMissingError when no such program is installed.
 */
export async function startMemcached(signal: AbortSignal, wanted?: number): Promise<OwnMemcached> {
  const port = wanted ?? (await ownPort()).port
  const programs = new Programs()
  const asRoot = process.getuid?.() === 0 ? ['-u', 'root'] : []
  const program = programs.start('memcached', [...asRoot, '-l', HOST, '-p', String(port), '-U', '0'])
  try {
    await until('memcached did not start', () => listensAt(port), { program, signal })
  } catch (error) {
    const isMissing = program.hasEnded() && (await program.ended) === NO_SUCH_PROGRAM
    await programs.end()
    if (!isMissing) throw error
    throw new MemcachedMissingError('this example needs memcached. Install it (apt-get install memcached), or set MEMCACHE_SERVERS=host:port.')
  }
  return { address: `${HOST}:${String(port)}`, signal: program.signal, stop: () => programs.end() }
}

/** As a shell's exit code. */
const NO_SUCH_PROGRAM = 127

function listensAt(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST)
    const answer = (isThere: boolean) => (): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.on('connect', answer(true)).on('error', answer(false))
  })
}
