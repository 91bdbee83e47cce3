// An application on connect-memcached, as it is before the change that docs/guide/migrating/connect-memcached.md shows.
import express from 'express'
import session from 'express-session'
import connectMemcached from 'connect-memcached'
import { openShop } from '../express-shop.mjs'

const app = express()
const secret = 'keyboard cat'
const MemcachedStore = connectMemcached(session)
const store = new MemcachedStore({ hosts: ['127.0.0.1:11211'], prefix: 'shop:' })
app.use(session({ secret, resave: false, saveUninitialized: false, store }))

openShop(app)
