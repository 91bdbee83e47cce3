/** What memcached says, and wants to hear, before it takes commands: in text, whatever the protocol. */
import { AuthenticationError } from './codec.js'

const TURNED_AWAY = 'ERROR Too many open connections'

/** Whether the server has no connection left (`-c`); it closes after these words. */
export const isTurnedAway = (line: string): boolean => line.startsWith(TURNED_AWAY)

/** As `isTurnedAway`, of the first bytes that came, as many as there are. */
export const isTurnedAwayBytes = (bytes: Buffer): boolean =>
  isTurnedAway(bytes.toString('latin1', 0, TURNED_AWAY.length).padEnd(TURNED_AWAY.length, '?'))

export const turnedAway = (): Error =>
  new Error('all its connections are in use (Too many open connections): raise the -c of the server')

/** The answer to any command but a login, where one is wanted (`-Y`). The connection stays open. */
export const wantsCredentials = (line: string): boolean => line.startsWith('CLIENT_ERROR unauth')

/** Of a server without `-Y` nothing good can come of credentials in text: it stores them, for everybody to read. */
export const credentialsUnwanted = (): AuthenticationError =>
  new AuthenticationError(
    'the server runs without -Y and lets everybody in, so that the credentials were not sent. Start it with -Y, or take ' +
      'them out of the save path',
  )

/** The login of `-Y`: a `set` of anything, with "user password" as its data. */
export function loginOf(username: string, password: string): Buffer {
  const secret = Buffer.from(`${username} ${password}`)
  return Buffer.concat([Buffer.from(`set auth 0 0 ${String(secret.length)}\r\n`), secret, Buffer.from('\r\n')])
}
