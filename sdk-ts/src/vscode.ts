// Node-only entry.
export {};
