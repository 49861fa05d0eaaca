import Mail

/// TXT records, for commands.
package enum TextRecords {
    /// Asks for those of all names, on the caller's thread; blocks.
    ///
    /// - Parameters:
    ///   - names: lower-case, without the final dot.
    ///   - configuration: its timeout is for each question.
    /// - Returns: what was answered, in the order of the names.
    package static func lookups(
        of names: [String], _ configuration: UnboundResolver.Configuration
    ) throws(UnboundResolver.SetupError) -> [Lookup] {
        try UnboundContext(configuration).answers(
            to: names.map { Question($0, .txt) }, within: configuration.timeout)
    }
}
