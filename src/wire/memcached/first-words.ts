/**
 * What memcached and its client say to each other before the first command: in text, even where binary is spoken later.
 */
import { AuthenticationError } from '../socket/codec.js'

const TURNED_AWAY = 'ERROR Too many open connections'

/** Whether the server has no connection left (`-c`). The server closes the connection after these words. */
export const isTurnedAway = (line: string): boolean => line.startsWith(TURNED_AWAY)

/** As `isTurnedAway`, but judges the first bytes that have arrived, which may be only the beginning of the line. */
export const isTurnedAwayBytes = (bytes: Buffer): boolean =>
  isTurnedAway(bytes.toString('latin1', 0, TURNED_AWAY.length).padEnd(TURNED_AWAY.length, '?'))

export const turnedAway = (): Error =>
  new Error('all its connections are in use (Too many open connections): raise the -c of the server')

/** Whether the server wants a login first (`-Y`): it answers like this to every other command, and stays connected. */
export const wantsCredentials = (line: string): boolean => line.startsWith('CLIENT_ERROR unauth')

/** The error where the server runs without `-Y`: it would store the credentials as an item that everybody can read. */
export const credentialsUnwanted = (): AuthenticationError =>
  new AuthenticationError(
    'the server runs without -Y and lets everybody in, so the credentials were not sent. Start it with -Y, or take the ' +
      'credentials out of the save path',
  )

/** The login command of `-Y`: a `set` of any key, with "user password" as its data. */
export function loginOf(username: string, password: string): Buffer {
  const secret = Buffer.from(`${username} ${password}`)
  return Buffer.concat([Buffer.from(`set auth 0 0 ${String(secret.length)}\r\n`), secret, Buffer.from('\r\n')])
}
