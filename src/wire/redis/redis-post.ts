/**
 * Processes of several hosts tell each other something by Redis's publish and subscribe. One connection listens, for all
 * boxes; what is sent goes with the flights of its turn. Both are only for what may be lost: nothing waits for them.
 */
import type { Listening, Post } from '../../neighbours/post.js'
import type { Clock } from '../../system/clock.js'
import type { SocketAddress } from '../socket/address.js'
import type { ServerNode } from '../socket/node.js'
import { ask } from './ask.js'
import { isError } from './resp.js'
import { Subscription } from './subscription.js'

export interface RedisPostOptions {
  /** Where to listen; asked for each connection. */
  readonly locate: () => SocketAddress | Promise<SocketAddress>
  /** Where to send. */
  readonly node: () => ServerNode
  readonly clock: Clock
}

export class RedisPost implements Post {
  readonly #node: () => ServerNode
  readonly #boxes = new Map<string, (text: string) => void>()
  readonly #subscription: Subscription
  /** The server does not let this user publish. */
  #isMute = false

  constructor({ locate, node, clock }: RedisPostOptions) {
    this.#node = node
    this.#subscription = new Subscription({ locate, clock, heard: (box, text) => this.#boxes.get(box)?.(text) })
  }

  listen(box: string, heard: (text: string) => void): Listening {
    this.#boxes.set(box, heard)
    this.#subscription.add(box)
    return {
      close: () => {
        this.#boxes.delete(box)
        this.#subscription.remove(box)
      },
    }
  }

  send(box: string, text: string): void {
    if (this.#isMute) return
    ask(this.#node(), 'PUBLISH', box, text).then(
      (reply) => {
        if (typeof reply === 'object' && reply !== null && isError(reply)) this.#isMute = reply.error.startsWith('NOPERM')
      },
      () => undefined,
    )
  }

  close(): void {
    this.#boxes.clear()
    this.#subscription.close()
  }
}
