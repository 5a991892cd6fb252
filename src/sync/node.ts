/** Replication on Node: the WebSocket server. Needs the npm package `ws`. */
export {
  type ServeWebSocketOptions,
  serveWebSocket,
  type WebSocketService,
} from './node-serve-web-socket.ts';
