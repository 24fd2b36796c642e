"""The part of Linear's published GraphQL schema that the stand-in speaks.

It serves where the whole schema is not at hand; tests/contracts/test_linear_standin.py holds it to the whole.
Copied without descriptions from linear/linear, packages/sdk/src/schema.graphql (MIT).
"""

SUBSET = """
scalar DateTime

scalar DateTimeOrDuration

scalar TimelessDate

scalar JSONObject

enum PaginationOrderBy {
  createdAt
  updatedAt
}

type Query {
  viewer: User!
  organization: Organization!
  team(id: String!): Team!
  teams(
    after: String, filter: TeamFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): TeamConnection!
  issue(id: String!): Issue!
  issues(
    after: String, filter: IssueFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): IssueConnection!
  searchIssues(
    after: String, filter: IssueFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy, teamId: String, term: String!
  ): IssueSearchPayload!
  projects(
    after: String, filter: ProjectFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): ProjectConnection!
  webhook(id: String!): Webhook!
  webhooks(after: String, first: Int, includeArchived: Boolean, orderBy: PaginationOrderBy): WebhookConnection!
  users(
    after: String, filter: UserFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): UserConnection!
  workflowStates(
    after: String, filter: WorkflowStateFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): WorkflowStateConnection!
  issueLabels(
    after: String, filter: IssueLabelFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): IssueLabelConnection!
}

type Mutation {
  issueCreate(input: IssueCreateInput!): IssuePayload!
  issueUpdate(id: String!, input: IssueUpdateInput!): IssuePayload!
  issueArchive(id: String!, trash: Boolean): IssueArchivePayload!
  issueDelete(id: String!, permanentlyDelete: Boolean): IssueArchivePayload!
  commentCreate(input: CommentCreateInput!): CommentPayload!
  webhookCreate(input: WebhookCreateInput!): WebhookPayload!
  webhookUpdate(id: String!, input: WebhookUpdateInput!): WebhookPayload!
  webhookDelete(id: String!): DeletePayload!
}

interface Node {
  id: ID!
}

type PageInfo {
  endCursor: String
  hasNextPage: Boolean!
  hasPreviousPage: Boolean!
  startCursor: String
}

type Organization implements Node {
  id: ID!
  name: String!
  urlKey: String!
  createdAt: DateTime!
  updatedAt: DateTime!
  userCount: Int!
}

type User implements Node {
  id: ID!
  name: String!
  displayName: String!
  email: String!
  active: Boolean!
  admin: Boolean!
  app: Boolean!
  guest: Boolean!
  isMe: Boolean!
  url: String!
  createdAt: DateTime!
  updatedAt: DateTime!
  archivedAt: DateTime
  organization: Organization!
}

type Team implements Node {
  id: ID!
  key: String!
  name: String!
  displayName: String!
  description: String
  private: Boolean!
  createdAt: DateTime!
  updatedAt: DateTime!
  archivedAt: DateTime
  organization: Organization!
  states(
    after: String, filter: WorkflowStateFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): WorkflowStateConnection!
  labels(
    after: String, filter: IssueLabelFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): IssueLabelConnection!
  members(
    after: String, filter: UserFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): UserConnection!
  issues(
    after: String, filter: IssueFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): IssueConnection!
}

type WorkflowState implements Node {
  id: ID!
  name: String!
  type: String!
  color: String!
  position: Float!
  description: String
  createdAt: DateTime!
  updatedAt: DateTime!
  archivedAt: DateTime
  team: Team!
}

type IssueLabel implements Node {
  id: ID!
  name: String!
  color: String!
  description: String
  isGroup: Boolean!
  createdAt: DateTime!
  updatedAt: DateTime!
  archivedAt: DateTime
  team: Team
}

type Issue implements Node {
  id: ID!
  identifier: String!
  number: Float!
  title: String!
  description: String
  url: String!
  branchName: String!
  priority: Float!
  priorityLabel: String!
  estimate: Float
  dueDate: TimelessDate
  createdAt: DateTime!
  updatedAt: DateTime!
  archivedAt: DateTime
  completedAt: DateTime
  canceledAt: DateTime
  startedAt: DateTime
  labelIds: [String!]!
  assignee: User
  creator: User
  parent: Issue
  project: Project
  trashed: Boolean
  state: WorkflowState!
  team: Team!
  labels(
    after: String, filter: IssueLabelFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): IssueLabelConnection!
  comments(
    after: String, filter: CommentFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): CommentConnection!
}

type Comment implements Node {
  id: ID!
  body: String!
  url: String!
  createdAt: DateTime!
  updatedAt: DateTime!
  archivedAt: DateTime
  issueId: String
  parentId: String
  issue: Issue
  parent: Comment
  user: User
}

type ProjectStatus implements Node {
  id: ID!
  name: String!
  type: ProjectStatusType!
  color: String!
  position: Float!
}

enum ProjectStatusType {
  backlog
  canceled
  completed
  paused
  planned
  started
}

type Project implements Node {
  id: ID!
  name: String!
  url: String!
  slugId: String!
  status: ProjectStatus!
  lead: User
  startDate: TimelessDate
  targetDate: TimelessDate
  createdAt: DateTime!
  updatedAt: DateTime!
  archivedAt: DateTime
  teams(
    after: String, filter: TeamFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): TeamConnection!
}

type Webhook implements Node {
  id: ID!
  url: String
  secret: String
  label: String
  enabled: Boolean!
  allPublicTeams: Boolean!
  resourceTypes: [String!]!
  team: Team
  createdAt: DateTime!
  updatedAt: DateTime!
  archivedAt: DateTime
}

type WebhookPayload {
  lastSyncId: Float!
  success: Boolean!
  webhook: Webhook!
}

type DeletePayload {
  entityId: String!
  lastSyncId: Float!
  success: Boolean!
}

type IssueArchivePayload {
  entity: Issue
  lastSyncId: Float!
  success: Boolean!
}

type ProjectConnection {
  edges: [ProjectEdge!]!
  nodes: [Project!]!
  pageInfo: PageInfo!
}

type ProjectEdge {
  cursor: String!
  node: Project!
}

type WebhookConnection {
  edges: [WebhookEdge!]!
  nodes: [Webhook!]!
  pageInfo: PageInfo!
}

type WebhookEdge {
  cursor: String!
  node: Webhook!
}

type IssuePayload {
  issue: Issue
  lastSyncId: Float!
  success: Boolean!
}

type CommentPayload {
  comment: Comment!
  lastSyncId: Float!
  success: Boolean!
}

type IssueSearchPayload {
  edges: [IssueSearchResultEdge!]!
  nodes: [IssueSearchResult!]!
  pageInfo: PageInfo!
  totalCount: Float!
}

type IssueSearchResult implements Node {
  id: ID!
  identifier: String!
  number: Float!
  title: String!
  description: String
  url: String!
  branchName: String!
  priority: Float!
  priorityLabel: String!
  estimate: Float
  dueDate: TimelessDate
  createdAt: DateTime!
  updatedAt: DateTime!
  archivedAt: DateTime
  completedAt: DateTime
  canceledAt: DateTime
  startedAt: DateTime
  labelIds: [String!]!
  assignee: User
  creator: User
  parent: Issue
  project: Project
  trashed: Boolean
  state: WorkflowState!
  team: Team!
  labels(
    after: String, filter: IssueLabelFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): IssueLabelConnection!
  comments(
    after: String, filter: CommentFilter, first: Int, includeArchived: Boolean, orderBy:
    PaginationOrderBy
  ): CommentConnection!
  metadata: JSONObject!
}

type TeamConnection {
  edges: [TeamEdge!]!
  nodes: [Team!]!
  pageInfo: PageInfo!
}

type TeamEdge {
  cursor: String!
  node: Team!
}

type UserConnection {
  edges: [UserEdge!]!
  nodes: [User!]!
  pageInfo: PageInfo!
}

type UserEdge {
  cursor: String!
  node: User!
}

type WorkflowStateConnection {
  edges: [WorkflowStateEdge!]!
  nodes: [WorkflowState!]!
  pageInfo: PageInfo!
}

type WorkflowStateEdge {
  cursor: String!
  node: WorkflowState!
}

type IssueLabelConnection {
  edges: [IssueLabelEdge!]!
  nodes: [IssueLabel!]!
  pageInfo: PageInfo!
}

type IssueLabelEdge {
  cursor: String!
  node: IssueLabel!
}

type IssueConnection {
  edges: [IssueEdge!]!
  nodes: [Issue!]!
  pageInfo: PageInfo!
}

type IssueEdge {
  cursor: String!
  node: Issue!
}

type CommentConnection {
  edges: [CommentEdge!]!
  nodes: [Comment!]!
  pageInfo: PageInfo!
}

type CommentEdge {
  cursor: String!
  node: Comment!
}

type IssueSearchResultEdge {
  cursor: String!
  node: IssueSearchResult!
}

input IssueFilter {
  and: [IssueFilter!]
  or: [IssueFilter!]
  id: IssueIDComparator
  title: StringComparator
  number: NumberComparator
  priority: NullableNumberComparator
  createdAt: DateComparator
  updatedAt: DateComparator
  assignee: NullableUserFilter
  creator: NullableUserFilter
  state: WorkflowStateFilter
  team: TeamFilter
  labels: IssueLabelCollectionFilter
  project: NullableProjectFilter
}

input ProjectFilter {
  and: [ProjectFilter!]
  or: [ProjectFilter!]
  id: IDComparator
  name: StringComparator
  accessibleTeams: TeamCollectionFilter
}

input NullableProjectFilter {
  and: [NullableProjectFilter!]
  or: [NullableProjectFilter!]
  null: Boolean
  id: IDComparator
  name: StringComparator
}

input TeamCollectionFilter {
  and: [TeamCollectionFilter!]
  or: [TeamCollectionFilter!]
  some: TeamFilter
  every: TeamFilter
}

input NullableUserFilter {
  and: [NullableUserFilter!]
  or: [NullableUserFilter!]
  null: Boolean
  id: IDComparator
  name: StringComparator
  displayName: StringComparator
  email: StringComparator
  isMe: BooleanComparator
  active: BooleanComparator
}

input UserFilter {
  and: [UserFilter!]
  or: [UserFilter!]
  id: IDComparator
  name: StringComparator
  displayName: StringComparator
  email: StringComparator
  isMe: BooleanComparator
  active: BooleanComparator
}

input WorkflowStateFilter {
  and: [WorkflowStateFilter!]
  or: [WorkflowStateFilter!]
  id: IDComparator
  name: StringComparator
  type: StringComparator
  position: NumberComparator
  team: TeamFilter
}

input TeamFilter {
  and: [TeamFilter!]
  or: [TeamFilter!]
  id: IDComparator
  key: StringComparator
  name: StringComparator
}

input NullableTeamFilter {
  and: [NullableTeamFilter!]
  or: [NullableTeamFilter!]
  null: Boolean
  id: IDComparator
  key: StringComparator
  name: StringComparator
}

input IssueLabelFilter {
  and: [IssueLabelFilter!]
  or: [IssueLabelFilter!]
  id: IDComparator
  name: StringComparator
  team: NullableTeamFilter
}

input IssueLabelCollectionFilter {
  and: [IssueLabelCollectionFilter!]
  or: [IssueLabelCollectionFilter!]
  some: IssueLabelFilter
  every: IssueLabelFilter
  id: IDComparator
  name: StringComparator
  length: NumberComparator
}

input CommentFilter {
  and: [CommentFilter!]
  or: [CommentFilter!]
  id: IDComparator
  createdAt: DateComparator
  user: UserFilter
  issue: NullableIssueFilter
}

input NullableIssueFilter {
  and: [NullableIssueFilter!]
  or: [NullableIssueFilter!]
  null: Boolean
  id: IssueIDComparator
  title: StringComparator
}

input StringComparator {
  contains: String
  containsIgnoreCase: String
  containsIgnoreCaseAndAccent: String
  endsWith: String
  eq: String
  eqIgnoreCase: String
  in: [String!]
  neq: String
  neqIgnoreCase: String
  nin: [String!]
  notContains: String
  notContainsIgnoreCase: String
  notEndsWith: String
  notStartsWith: String
  startsWith: String
  startsWithIgnoreCase: String
}

input IDComparator {
  eq: ID
  in: [ID!]
  neq: ID
  nin: [ID!]
}

input IssueIDComparator {
  eq: ID
  in: [ID!]
  neq: ID
  nin: [ID!]
}

input NumberComparator {
  eq: Float
  gt: Float
  gte: Float
  in: [Float!]
  lt: Float
  lte: Float
  neq: Float
  nin: [Float!]
}

input NullableNumberComparator {
  eq: Float
  gt: Float
  gte: Float
  in: [Float!]
  lt: Float
  lte: Float
  neq: Float
  nin: [Float!]
  null: Boolean
}

input BooleanComparator {
  eq: Boolean
  neq: Boolean
}

input DateComparator {
  eq: DateTimeOrDuration
  gt: DateTimeOrDuration
  gte: DateTimeOrDuration
  in: [DateTimeOrDuration!]
  lt: DateTimeOrDuration
  lte: DateTimeOrDuration
  neq: DateTimeOrDuration
  nin: [DateTimeOrDuration!]
}

input IssueCreateInput {
  id: String
  teamId: String!
  title: String
  description: String
  priority: Int
  assigneeId: String
  labelIds: [String!]
  stateId: String
  parentId: String
  projectId: String
  dueDate: TimelessDate
  estimate: Int
  createAsUser: String
  displayIconUrl: String
}

input IssueUpdateInput {
  title: String
  description: String
  priority: Int
  assigneeId: String
  labelIds: [String!]
  addedLabelIds: [String!]
  removedLabelIds: [String!]
  stateId: String
  parentId: String
  projectId: String
  dueDate: TimelessDate
  estimate: Int
  trashed: Boolean
}

input WebhookCreateInput {
  allPublicTeams: Boolean
  enabled: Boolean = true
  id: String
  label: String
  resourceTypes: [String!]!
  secret: String
  teamId: String
  url: String!
}

input WebhookUpdateInput {
  enabled: Boolean
  label: String
  resourceTypes: [String!]
  secret: String
  url: String
}

input CommentCreateInput {
  id: String
  issueId: String
  body: String
  parentId: String
  createAsUser: String
  displayIconUrl: String
}
"""
