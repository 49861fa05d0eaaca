/// The Unix socket that commands talk to a running relay through.
enum ControlAddress {
    /// Octets that fit into `sun_path` with its final zero.
    static let longestPath = 107
}
