import type { Credentials } from '../../socket/address.js'
import { type Handshake, helloOf, toldBy } from '../handshake.js'

/** With a Sentinel, which keeps nothing and knows no scripts. */
export function sentinelHandshake(credentials: Credentials | undefined): Handshake {
  return {
    text: helloOf(credentials),
    takes: [
      (reply) => {
        if (toldBy(reply).get('mode') !== 'sentinel') throw new Error('no Sentinel answers here, but a Redis: Sentinels listen on port 26379 by default')
      },
    ],
    greeting: () => ({ process: undefined, itemSizeMaxBytes: undefined, flaw: undefined }),
  }
}
