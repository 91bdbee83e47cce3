/**
 * The routes of mcrouter that the configurations of this project name. Each says which file of its source it follows; the
 * ways to write one down (an object, `Type|child`, a list) are those of mcrouter/lib/config/RouteHandleFactory-inl.h.
 */
import { ch3, routingKeyOf } from './ch3-hash.js'
import { Destination, errorReply, isHit, isWorse, LOCAL_ERROR, type Reply, type Request, UNKNOWN } from './destination.js'

export interface Route {
  /** As `__mcrouter__.route_handles` writes it. */
  readonly name: string
  route(request: Request): Promise<Reply>
  /** The routes that a request may go on to, as traverse() does. */
  children(request: Request): readonly Route[]
  /** Where it is a server. */
  readonly address?: string
}

type Json = string | null | readonly Json[] | { readonly [name: string]: Json }
type JsonObject = { readonly [name: string]: Json }

const isObject = (json: Json | undefined): json is JsonObject => typeof json === 'object' && json !== null && !Array.isArray(json)

export class Routes {
  readonly #pools: JsonObject
  readonly #destinations = new Map<string, Destination>()
  readonly #random: () => number
  readonly root: Route

  /** @param text comments are allowed, as in mcrouter/lib/config/ConfigPreprocessor.h. */
  constructor(text: string, random: () => number = Math.random) {
    const json = JSON.parse(text.replace(/\/\*[^]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')) as JsonObject
    this.#random = random
    this.#pools = isObject(json['pools']) ? json['pools'] : {}
    this.root = this.#prefixSelector(json['route'] ?? null)
  }

  close(): void {
    for (const destination of this.#destinations.values()) destination.close()
  }

  /** mcrouter/routes/PrefixSelectorRoute.h; it may stand only at the top (RouteSelectorMap.h), and the longest prefix counts. */
  #prefixSelector(json: Json): Route {
    const isSelector = isObject(json) && json['type'] === 'PrefixSelectorRoute'
    const policies = isSelector && isObject(json['policies']) ? Object.entries(json['policies']) : []
    const made = policies.map(([prefix, policy]): [string, Route] => [prefix, this.#create(policy)])
    const sorted = made.sort(([one], [other]) => other.length - one.length)
    const wildcard = isSelector ? (json['wildcard'] === undefined ? undefined : this.#create(json['wildcard'])) : this.#create(json)
    const of = ({ key }: Request): Route | undefined => (sorted.find(([prefix]) => routingKeyOf(key).startsWith(prefix)) ?? [])[1] ?? wildcard
    return {
      name: 'root',
      route: (request) => of(request)?.route(request) ?? Promise.resolve(errorReply('localError', 'No route for the key')),
      children: (request) => [of(request) ?? []].flat(),
    }
  }

  #create(json: Json): Route {
    const [only, ...more] = this.#list(json)
    if (only === undefined || more.length > 0) throw new Error(`${JSON.stringify(json)} is not one route`)
    return only
  }

  #list(json: Json): readonly Route[] {
    if (Array.isArray(json)) return (json as readonly Json[]).flatMap((one) => this.#list(one))
    if (isObject(json)) return this.#make(String(json['type']), json)
    const text = String(json)
    const bar = text.indexOf('|')
    return bar < 0 ? this.#make(text, null) : this.#make(text.slice(0, bar), text.slice(bar + 1))
  }

  #make(type: string, json: Json): readonly Route[] {
    const children = (): readonly Route[] => this.#list(isObject(json) ? (json['children'] ?? []) : json)
    switch (type) {
      case 'Pool':
        return this.#pool(json)
      case 'PoolRoute':
        return [hash(this.#pool(isObject(json) ? (json['pool'] ?? null) : json))]
      case 'HashRoute':
        return [hash(children())]
      case 'AllMajorityRoute':
        return [allMajority(children())]
      case 'MissFailoverRoute':
        return [missFailover(children())]
      case 'RandomRoute':
        return [randomRoute(children(), this.#random)]
      case 'OperationSelectorRoute':
        return [this.#operationSelector(json)]
      case 'ErrorRoute':
        return [ERROR]
      default:
        throw new Error(`Unknown RouteHandle: ${type}`)
    }
  }

  /** mcrouter/routes/McRouteHandleProvider-inl.h, makePool(); the name is that of mcrouter/routes/DestinationRoute.h. */
  #pool(json: Json): readonly Route[] {
    const pool = this.#pools[String(json)]
    const servers = isObject(pool) ? pool['servers'] : undefined
    if (!Array.isArray(servers)) throw new Error(`there is no pool ${String(json)}`)
    return (servers as readonly Json[]).map((server, index): Route => {
      const address = String(server)
      const destination = this.#destinations.get(address) ?? new Destination(address)
      this.#destinations.set(address, destination)
      return {
        name: `host|pool=${String(json)}|id=${String(index)}|ap=${address}:TCP:ascii|timeout=1000ms|keep_routing_prefix=false|msb=0`,
        route: (request) => destination.route(request),
        children: () => [],
        address,
      }
    })
  }

  /** mcrouter/routes/OperationSelectorRoute.h: by the operation, `get` and `gets` apart; without a default an unknown result. */
  #operationSelector(json: Json): Route {
    if (!isObject(json)) return this.#create(json)
    const policies = isObject(json['operation_policies']) ? json['operation_policies'] : {}
    const made = new Map(Object.entries(policies).map(([op, policy]) => [op, this.#create(policy)]))
    const fallback = json['default_policy'] === undefined ? undefined : this.#create(json['default_policy'])
    const of = ({ op }: Request): Route | undefined => made.get(op) ?? fallback
    return {
      name: 'operation-selector',
      route: (request) => of(request)?.route(request) ?? Promise.resolve(UNKNOWN),
      children: (request) => [of(request) ?? []].flat(),
    }
  }
}

/** mcrouter/routes/ErrorRoute.h. */
const ERROR: Route = { name: 'error|log|LOCAL_ERROR', route: () => Promise.resolve(LOCAL_ERROR), children: () => [] }

/** mcrouter/routes/HashRouteFactory.h and mcrouter/lib/HashSelector.h: one child stands for itself. */
function hash(children: readonly Route[]): Route {
  const [first] = children
  if (first === undefined) return ERROR
  if (children.length === 1) return first
  const of = ({ key }: Request): Route => children[ch3(routingKeyOf(key), children.length)] ?? ERROR
  return { name: 'selection|hash|Ch3', route: (request) => of(request).route(request), children: (request) => [of(request)] }
}

/** mcrouter/lib/routes/AllMajorityRoute.h: returns at the most frequent result's majority; a tie goes to the worst. */
function allMajority(children: readonly Route[]): Route {
  const [first] = children
  if (first !== undefined && children.length === 1) return first
  return {
    name: 'all-majority',
    children: () => children,
    route: (request) =>
      new Promise((resolve) => {
        const counts = new Map<string, number>()
        let [majority, majorityCount, due] = [UNKNOWN, 0, children.length]
        const take = (reply: Reply): void => {
          const count = (counts.get(reply.result) ?? 0) + 1
          counts.set(reply.result, count)
          if (count > majorityCount || (count === majorityCount && isWorse(reply, majority))) [majority, majorityCount] = [reply, count]
          due--
          if (due === 0 || majorityCount >= Math.floor(children.length / 2) + 1) resolve(majority)
        }
        for (const child of children) void child.route(request).then(take)
      }),
  }
}

/** mcrouter/routes/MissFailoverRoute.h: reads and deletes go on until one hits; all else goes to the first child. */
function missFailover(children: readonly Route[]): Route {
  const [first] = children
  if (first === undefined || children.length === 1) return first ?? ERROR
  return {
    name: 'miss-failover',
    children: () => children,
    route: async (request) => {
      let reply = await first.route(request)
      if (!['get', 'gets', 'gat', 'gats', 'delete'].includes(request.op)) return reply
      for (const child of children.slice(1)) {
        if (isHit(reply)) return reply
        reply = await child.route(request)
      }
      return reply
    },
  }
}

/** mcrouter/lib/routes/RandomRoute.h. */
function randomRoute(children: readonly Route[], random: () => number): Route {
  const [first] = children
  if (first === undefined || children.length === 1) return first ?? ERROR
  return {
    name: 'random',
    children: () => children,
    route: (request) => (children[Math.floor(random() * children.length)] ?? first).route(request),
  }
}
