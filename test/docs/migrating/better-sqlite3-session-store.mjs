// An application on better-sqlite3-session-store, as it is before the change that docs/guide/migrating/better-sqlite3-session-store.md shows.
import express from 'express'
import session from 'express-session'
import SqliteStore from 'better-sqlite3-session-store'
import Database from 'better-sqlite3'
import { openShop } from '../express-shop.mjs'

const app = express()
const secret = 'keyboard cat'
const store = new (SqliteStore(session))({ client: new Database('sessions.db'), expired: { clear: true, intervalMs: 900_000 } })
app.use(session({ secret, resave: false, saveUninitialized: false, store }))

openShop(app)
