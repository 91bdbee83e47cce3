/** What an error of a cluster's node says about where to go. */
import { isHost } from '../../socket/address.js'

/** A host and its port; an empty host is that of the node that said so. */
export interface Place {
  readonly host: string
  readonly port: number
}

export type Redirect =
  /** `moved`: the slot is there. `ask`: it is on its way there, and the key that was named is not here any more. */
  | { readonly kind: 'moved' | 'ask'; readonly place: Place }
  /** The slot is on its way, and some of the keys of one command have left already: each by itself can be reached. */
  | { readonly kind: 'apart' }
  /** This node does not serve the slot now: another one may, or will. */
  | { readonly kind: 'elsewhere' }

const TO_ANOTHER = /^(MOVED|ASK) \d{1,5} (\S*):(\d{1,5})$/
const NOT_HERE = /^(?:@user_script: ?\d+: -?)?(?:MOVED|ASK|CLUSTERDOWN|LOADING|READONLY|MASTERDOWN)\b/

/** Undefined: the refusal has nothing to do with the cluster. */
export function redirectIn(answer: string): Redirect | undefined {
  const [, word, host = '', digits] = TO_ANOTHER.exec(answer) ?? []
  const port = Number(digits)
  const named = hostOf(host)
  if (named !== undefined && port >= 1 && port <= 65_535) return { kind: word === 'MOVED' ? 'moved' : 'ask', place: { host: named, port } }
  if (answer.startsWith('TRYAGAIN')) return { kind: 'apart' }
  return NOT_HERE.test(answer) ? { kind: 'elsewhere' } : undefined
}

/** As a node names itself. `?`: it does not know. Undefined: it is none. */
export function hostOf(host: string): string | undefined {
  const named = host === '?' ? '' : host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  return named === '' || isHost(named) ? named : undefined
}
