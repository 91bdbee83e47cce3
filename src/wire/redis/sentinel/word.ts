/** What a Sentinel says of the primary. */
import { isHost } from '../../socket/address.js'
import { ProtocolError } from '../../socket/codec.js'
import type { ServerNode } from '../../socket/node.js'
import { shown } from '../../socket/server-errors.js'
import { ask } from '../ask.js'
import { isError, isList } from '../resp.js'

export interface Word {
  readonly host: string
  readonly port: number
  /** Counts the failovers: of two words the one with the greater epoch is the later. */
  readonly epoch: number
}

/** Asks one Sentinel. @throws {Error} it does not answer, or knows of no such primary. */
export async function wordOf(node: ServerNode, service: string): Promise<Word> {
  const [place, details] = await Promise.all([
    ask(node, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', service),
    ask(node, 'SENTINEL', 'MASTER', service),
  ])
  if (place === null) throw new Error(`${node.name} watches no primary by the name ${service}`)
  if (isError(place)) throw new ProtocolError(`${node.name} answered with an error (${shown(place.error)})`)
  const [host, port] = isList(place) ? place : []
  if (typeof host !== 'string' || !isHost(host) || !isPort(port)) {
    throw new ProtocolError(`${node.name} does not say where the primary is`)
  }
  return { host: host.toLowerCase(), port: Number(port), epoch: isList(details) ? epochIn(details) : 0 }
}

/** Its user may not be allowed to ask for it: then no word counts more than another. */
function epochIn(details: readonly unknown[]): number {
  const at = details.indexOf('config-epoch')
  const epoch = Number(at < 0 ? 0 : details[at + 1])
  return Number.isSafeInteger(epoch) ? epoch : 0
}

const isPort = (port: unknown): boolean => typeof port === 'string' && /^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535
