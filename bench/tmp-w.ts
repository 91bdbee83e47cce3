import { MemcachedServer } from '../test/support/memcached-server.js'
import { waitingRequests } from './rows/waiting-requests.js'
await using server = await MemcachedServer.start({ args: ['-m', '256'] })
console.log(await waitingRequests(server, Number(process.argv[2]), 10, { quick: false, against: undefined, progress: console.log }))
process.exit()
