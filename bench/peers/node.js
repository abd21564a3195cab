// node.js PORT: a hand-written service: one event in, one transaction, one answer.
const http = require('node:http');
const { Pool } = require('pg');
const { handle } = require('./work.js');
const pool = new Pool({ max: 10 });

http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', async () => {
    const client = await pool.connect();
    let status = 200;
    try {
      await handle(client, JSON.parse(Buffer.concat(parts)));
    } catch (error) {
      console.error(error);
      status = 500;
    }
    client.release();
    response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': 21 });
    response.end('{"status":"accepted"}');
  });
}).listen(+process.argv[2], '127.0.0.1', () => console.log('ready'));
