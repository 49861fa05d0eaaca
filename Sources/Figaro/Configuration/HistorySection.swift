import Mail
import Storage

extension NodeConfigurationFile {
    /// The `history:` section: how long what happened is remembered, and in how much room.
    func history(_ section: Section) -> History.Configuration {
        var history = History.Configuration()
        section.set(&history.keep, "keep") { $0.span(.seconds(1)...(.days(3_650))) }
        var size = Int(clamping: history.maximumSize)
        section.set(&size, "size") { $0.size(1 << 20...1 << 50) }
        history.maximumSize = Int64(size)
        // A short span is kept to the second, a long one to the minute.
        let sixtieth = Timestamp.Span(milliseconds: history.keep.milliseconds / 60)
        history.trimEvery = min(history.trimEvery, max(.seconds(1), sixtieth))
        return history
    }
}
