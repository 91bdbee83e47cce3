import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/**
 * Below the range from which Linux gives ports to outgoing connections: while a server is away, none of those takes its port, or
 * is connected to itself.
 */
const [FROM, TO] = [15_000, 32_000]

const HOST = '127.0.0.1'
/** Where a port is claimed: all of 127.0.0.0/8 is this host, and nobody else listens here. */
const CLAIMS_AT = '127.0.0.2'

const ATTEMPTS = 1000

/** A port of 127.0.0.1 that no other process claims until it is released, or until this process ends. */
export interface OwnPort {
  readonly port: number
  release(): void
}

/**
 * A port on which nobody listens, and which stays ours while its server is down: without the claim another program that
 * looks for a port takes it while the server is restarted.
 */
export async function ownPort(from = FROM, to = TO): Promise<OwnPort> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(from, to)
    const claim = await claimed(port)
    if (claim === undefined) continue
    if (await isFree(port)) return { port, release: () => void claim.close() }
    claim.close()
  }
  throw new Error(`no port of ${HOST} is free between ${String(from)} and ${String(to)}`)
}

/** Ports of this host on which nobody listens; they are ours until this process ends. */
export async function freePorts(count: number): Promise<number[]> {
  return (await Promise.all(Array.from({ length: count }, () => ownPort()))).map(({ port }) => port)
}

/** Undefined: another one has it. */
async function claimed(port: number): Promise<Server | undefined> {
  const claim = createServer().unref()
  try {
    await once(claim.listen(port, CLAIMS_AT), 'listening')
    return claim
  } catch (error) {
    // Not on Linux: the address is not set up there, and the port goes unclaimed.
    return (error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL' ? claim : undefined
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  try {
    await once(probe.listen(port, HOST), 'listening')
    await once(probe.close(), 'close')
    return true
  } catch {
    return false
  }
}
