struct Private;

#[guard]
pub fn job(_: Private) {}
