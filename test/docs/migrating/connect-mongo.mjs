// An application on connect-mongo, as it is before the change that docs/guide/migrating/connect-mongo.md shows.
import express from 'express'
import session from 'express-session'
import MongoStore from 'connect-mongo'
import { openShop } from '../express-shop.mjs'

const app = express()
const secret = 'keyboard cat'
const store = MongoStore.create({ mongoUrl: 'mongodb://127.0.0.1:27017/shop', touchAfter: 3600 })
app.use(session({ secret, resave: false, saveUninitialized: false, store }))

openShop(app)
