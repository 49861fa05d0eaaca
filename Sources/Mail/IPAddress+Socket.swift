// Where the system's socket addresses have theirs: its binary interface fixes the place. Going through text instead
// would cost a printing and a parsing for every connection.
extension IPAddress {
    /// - Parameter raw: the octets of a `sockaddr_in`.
    package init(sockaddr4 raw: UnsafeRawBufferPointer) {
        self.init(v4: UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    }

    /// - Parameter raw: the octets of a `sockaddr_in6`.
    package init(sockaddr6 raw: UnsafeRawBufferPointer) {
        self.init(
            high: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
            low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)))
    }
}
