import { LatchkeyError, type SessionManager } from 'latchkey'

/** What is used of a WebSocket; one of the package ws has it. */
export interface Socket {
  on(event: 'message', listener: (data: { toString(): string }) => void): unknown
  once(event: 'close', listener: () => void): unknown
  send(text: string): void
  close(code: number, reason: string): void
}

interface Chat {
  user: string
  said: number
}

const LOGGED_OUT = 4001
const TRY_AGAIN = 1013

/**
 * Serves one connection of a visitor whose session is `sessionId` (read from the cookie of the upgrade). The session is
 * locked for each message and never for the connection: pages of the same visitor go on meanwhile, and a logout there
 * ends the connection at its next message.
 */
export function serve(manager: SessionManager, socket: Socket, sessionId: string): void {
  const closed = new AbortController()
  const { signal } = closed
  socket.once('close', () => closed.abort())

  const answer = async (text: string): Promise<void> => {
    // It is stored and let go at the end of the block; a session that is new holds nothing, and leaves nothing.
    await using session = await manager.start<Chat>(sessionId, { signal, strict: true, label: 'websocket' })
    if (session.isNew) return socket.close(LOGGED_OUT, 'log in again')
    session.data.said = (session.data.said ?? 0) + 1
    await session.release()
    socket.send(`${session.data.user ?? 'somebody'} (${String(session.data.said)}): ${text}`)
  }
  socket.on('message', (data) => {
    answer(data.toString()).catch((error: unknown) => {
      if (signal.aborted) return
      if (!(error instanceof LatchkeyError)) throw error
      // Nothing of the message was stored.
      if (error.code === 'LATCHKEY_SESSION_GONE') socket.close(LOGGED_OUT, 'log in again')
      else socket.close(TRY_AGAIN, 'try again')
    })
  })
}
