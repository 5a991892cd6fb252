/** A walker over IPLD blocks; apart from the rest, because it needs packages. */
export { type IpldCodec, type IpldWalkerOptions, ipldWalker } from './walkers/ipld.ts';
