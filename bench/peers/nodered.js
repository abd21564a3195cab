// nodered.js PORT USERDIR: Node-RED with a flow of http in, our own node (below), http response.  Its Postgres nodes
// were not to be had: ten lines of our own run the work over a pool, in one transaction (which a flow of the usual query
// nodes does not).
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const [port, dir] = [+process.argv[2], process.argv[3]];
const modules = path.join(__dirname, 'node_modules');

fs.mkdirSync(path.join(dir, 'nodes'), { recursive: true });
fs.writeFileSync(path.join(dir, 'nodes', 'pgwork.js'), `
const { Pool } = require(${JSON.stringify(path.join(modules, 'pg'))});
const { handle } = require(${JSON.stringify(path.join(__dirname, 'work.js'))});
const pool = new Pool({ max: 10 });
module.exports = (RED) => RED.nodes.registerType('pgwork', function (config) {
  RED.nodes.createNode(this, config);
  this.on('input', async (msg, send, done) => {
    const client = await pool.connect();
    try { await handle(client, msg.payload); send(msg); done(); } catch (e) { done(e); } finally { client.release(); }
  });
});`);
fs.writeFileSync(path.join(dir, 'nodes', 'pgwork.html'),
  '<script type="text/javascript">RED.nodes.registerType("pgwork", { category: "storage", defaults: {}, inputs: 1, outputs: 1 });</script>');
fs.writeFileSync(path.join(dir, 'flows.json'), JSON.stringify([
  { id: 't', type: 'tab', label: 'bench' },
  { id: 'a', type: 'http in', z: 't', url: '/events', method: 'post', wires: [['f']] },
  { id: 'f', type: 'function', z: 't', func: 'msg.payload.seen = Date.now(); return msg;', outputs: 1, wires: [['b']] },
  { id: 'b', type: 'pgwork', z: 't', wires: [['g']] },
  { id: 'g', type: 'function', z: 't', func: 'msg.payload = { status: "accepted" }; return msg;', outputs: 1,
    wires: [['c']] },
  { id: 'c', type: 'http response', z: 't', statusCode: '200', wires: [] },
]));

const express = require(path.join(modules, 'express'));
const RED = require(path.join(modules, 'node-red'));
const app = express(), server = http.createServer(app);
RED.init(server, { userDir: dir, flowFile: 'flows.json', nodesDir: path.join(dir, 'nodes'), httpAdminRoot: false,
  httpNodeRoot: '/', credentialSecret: false, logging: { console: { level: 'warn' } } });
app.use('/', RED.httpNode);
RED.start().then(() => server.listen(port, '127.0.0.1', () => console.log('ready')));
