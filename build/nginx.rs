pub(crate) fn build() {}
