// An application on connect-redis, as it is before the change that docs/guide/migrating/connect-redis.md shows.
import express from 'express'
import session from 'express-session'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import { openShop } from '../express-shop.mjs'

const app = express()
const secret = 'keyboard cat'
const client = createClient({ url: 'redis://127.0.0.1:6379' })
await client.connect()
const store = new RedisStore({ client, prefix: 'shop:' })
app.use(session({ secret, resave: false, saveUninitialized: false, store }))

openShop(app)
