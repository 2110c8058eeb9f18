// server.js - a real S3 server for a test: npm's s3rver, with signatures checked by npm's aws4
//
//   node server.js MODULES DIR PORTFILE MODEFILE
//
// Bucket `events`, key and secret S3RVER. s3rver checks no signature of version 4: here each request's is made
// again by aws4, and its body hashed; what differs gets 403. The mode file holds N:WORD, read for each PUT and POST: 503
// (SlowDown), lost (done, but the answer is not sent), reset (not done), one in N.
// SPDX-License-Identifier: Apache-2.0
'use strict'
const crypto = require('crypto'), fs = require('fs'), http = require('http'), path = require('path')
const [modules, dir, portFile, modeFile] = process.argv.slice(2)
const load = (name) => require(path.resolve(modules, 'node_modules', name))
const aws4 = load('aws4'), S3rver = load('s3rver')
const keys = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }

const s3 = new S3rver({ directory: dir, silent: true, configureBuckets: [{ name: 'events' }], allowMismatchedSignatures: true })
const { Readable } = require('stream')
let count = 0

function isSigned(request, body) {
  const auth = request.headers.authorization || ''
  const names = (/SignedHeaders=([^,]+)/.exec(auth) || [])[1]
  const region = (/Credential=S3RVER\/\d+\/([^/]+)\/s3/.exec(auth) || [])[1]
  if (!names || !region) return false
  if (request.headers['x-amz-content-sha256'] !== crypto.createHash('sha256').update(body).digest('hex')) return false
  const headers = {}
  for (const n of names.split(';')) headers[n] = request.headers[n]
  const signer = new aws4.RequestSigner({ method: request.method, path: request.url, service: 's3', region, headers: { ...headers } }, keys)
  signer.request.headers = { ...headers }
  signer.prepareRequest()
  return 'AWS4-HMAC-SHA256 Credential=' + (/Credential=([^,]+)/.exec(auth))[1] + ', SignedHeaders=' + names + ', Signature=' + signer.signature() ===
    auth.replace(/,\s*/g, ', ')
}

function error(response, status, code) {
  response.writeHead(status, { 'Content-Type': 'application/xml' })
  response.end(`<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>by the test</Message></Error>`)
}

s3.configureBuckets().then(() => {
  const handle = s3.callback()
  http.createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      let what = ''
      if (request.method === 'PUT' || request.method === 'POST') {
        const [n, word] = fs.readFileSync(modeFile, 'utf8').trim().split(':')
        if (word && ++count % +n === 0) what = word
      }
      if (!isSigned(request, body)) return error(response, 403, 'SignatureDoesNotMatch')
      if (what === '503') return error(response, 503, 'SlowDown')
      if (what === 'reset') return request.socket.destroy()
      if (what === 'lost') response.end = () => request.socket.destroy()
      const again = Object.assign(Readable.from(body.length ? [body] : []), { method: request.method, url: request.url, headers: request.headers,
        socket: request.socket, connection: request.socket, httpVersion: '1.1', rawHeaders: request.rawHeaders })
      handle(again, response)
    })
  }).listen(0, '127.0.0.1', function () {
    fs.writeFileSync(portFile + '.new', String(this.address().port))
    fs.renameSync(portFile + '.new', portFile)
  })
})
