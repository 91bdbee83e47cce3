/** Counts what a client sends to a memcached: a plain TCP relay, so that nobody's own counters have to be believed. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Counts {
  /** Chunks that arrived from the client; with one cycle at a time each is a flight. */
  flights: number
  /** Commands in them, text or binary. */
  commands: number
}

export interface Tap {
  readonly port: number
  readonly counts: Counts
  close(): void
}

/** Starts a relay to `port`. Every chunk must hold whole commands, as it does with small records on loopback. */
export async function startTap(port: number): Promise<Tap> {
  const counts: Counts = { flights: 0, commands: 0 }
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
    }
    client.on('data', (chunk: Buffer) => {
      counts.flights++
      counts.commands += chunk[0] === 0x80 ? binaryCommands(chunk) : textCommands(chunk.toString('latin1'))
      upstream.write(chunk)
    })
    upstream.on('data', (chunk: Buffer) => client.write(chunk))
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The relay has no port')
  const close = (): void => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { port: address.port, counts, close }
}

/** An `add`, and the read of its key behind it, which tells its version, count once: by the binary protocol they are one. */
function textCommands(text: string): number {
  let commands = 0
  let added = ''
  let at = 0
  while (at < text.length) {
    const end = text.indexOf('\r\n', at)
    if (end < 0) break
    const [verb, key = '', , , bytes] = text.slice(at, end).split(' ')
    if (key !== added || verb !== 'mg') commands++
    added = verb === 'add' ? key : ''
    at = end + 2
    if (verb === 'add' || verb === 'set' || verb === 'cas') at += Number(bytes) + 2
  }
  return commands
}

function binaryCommands(chunk: Buffer): number {
  let commands = 0
  for (let at = 0; at + 24 <= chunk.length; at += 24 + chunk.readUInt32BE(at + 8)) commands++
  return commands
}
