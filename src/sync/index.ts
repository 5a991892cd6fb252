/** Live replication of one store to many subscribers, over any transport. */

export type { ConnectionInfo } from './admit.ts';
export type { BackoffOptions } from './backoff.ts';
export type { ChangeListener, ChangeMatch, RemoteChange } from './change-listeners.ts';
export type { EndReason } from './end-reason.ts';
export { type Hub, type HubEntry, type HubOptions, hub } from './hub.ts';
export { PROTOCOL_VERSION } from './protocol.ts';
export type {
  Authorize,
  AuthorizeRequest,
  PublicationStats,
  SubscriberStats,
} from './publication-core.ts';
export type {
  ConnectionState,
  HubStatus,
  Lag,
  PublicationStatus,
} from './publication-status.ts';
export {
  type CloseOptions,
  type Publication,
  type PublishLimits,
  type PublishOptions,
  publish,
} from './publish.ts';
export type { KeyRights, Rights, SubscriberLimits } from './scope.ts';
export { subscribe } from './subscribe.ts';
export type {
  SubscribeLimits,
  SubscribeOptions,
  Subscription,
  SubscriptionStatus,
} from './subscription.ts';
export { channelPair } from './transports/channel-pair.ts';
export { type MessagePortOptions, messagePort, type PortLike } from './transports/message-port.ts';
export { type SharedTabsOptions, sharedTabs } from './transports/shared-tabs.ts';
export type {
  Connector,
  Transport,
  TransportClose,
  TransportHandlers,
} from './transports/transport.ts';
export { type WebSocketOptions, webSocket } from './transports/web-socket.ts';
