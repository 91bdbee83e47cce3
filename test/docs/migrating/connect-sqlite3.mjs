// An application on connect-sqlite3, as it is before the change that docs/guide/migrating/connect-sqlite3.md shows.
import express from 'express'
import session from 'express-session'
import SqliteStore from 'connect-sqlite3'
import { openShop } from '../express-shop.mjs'

const app = express()
const secret = 'keyboard cat'
const store = new (SqliteStore(session))({ dir: './sessions', db: 'sessions.sqlite' })
app.use(session({ secret, resave: false, saveUninitialized: false, store }))

openShop(app)
