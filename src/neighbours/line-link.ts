import type { Socket } from 'node:net'
import type { Link, LinkEnd, LinkOwner } from './neighbours.js'

/**
 * More than any line has: a session id has 250 bytes at most, and a queue's
 * name about forty. Longer lines end the link.
 */
const MAX_LINE_BYTES = 1024
/** A neighbour that leaves this much unread is stopped, or is no process of ours: the link is ended, to save memory. */
const MAX_UNREAD_BYTES = 256 * 1024

/** Sends and receives lines over a socket. The socket does not keep the process alive. */
export class LineLink implements Link {
  private rest = ''
  private isOver = false

  constructor(
    private readonly socket: Socket,
    private readonly owner: LinkOwner,
    howOf: (error: Error) => LinkEnd,
  ) {
    socket.unref()
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.take(text)
    })
    socket.on('error', (error) => {
      this.end(howOf(error))
    })
    socket.on('end', () => {
      this.end('ended')
    })
    socket.on('close', () => {
      this.end('ended')
    })
  }

  send(line: string): void {
    if (this.isOver) return
    if (this.socket.writableLength > MAX_UNREAD_BYTES) this.end('ended')
    else this.socket.write(`${line}\n`, 'latin1')
  }

  close(): void {
    this.isOver = true
    this.socket.destroy()
  }

  private take(text: string): void {
    const lines = (this.rest + text).split('\n')
    this.rest = lines.pop() ?? ''
    for (const line of lines) if (!this.isOver) this.owner.onLine(line)
    if (this.rest.length > MAX_LINE_BYTES) this.end('ended')
  }

  private end(how: LinkEnd): void {
    if (this.isOver) return
    this.close()
    this.owner.onEnd(how)
  }
}
