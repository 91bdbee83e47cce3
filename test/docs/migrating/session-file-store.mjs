// An application on session-file-store, as it is before the change that docs/guide/migrating/session-file-store.md shows.
import express from 'express'
import session from 'express-session'
import FileStore from 'session-file-store'
import { openShop } from '../express-shop.mjs'

const app = express()
const secret = 'keyboard cat'
const store = new (FileStore(session))({ path: './sessions' })
app.use(session({ secret, resave: false, saveUninitialized: false, store }))

openShop(app)
